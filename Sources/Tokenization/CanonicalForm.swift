import Foundation

/// Unicode's canonical normalization forms (UAX #15).
///
/// Foundation's composition on Linux has two faults, which this works around. It looks up a scalar beyond
/// U+FFFF by its low 16 bits, so that U+10041 before an acute accent becomes "Á"; text holding such scalars
/// is composed here, by the standard's algorithm. And it leaves a composite that could take up one more
/// scalar as it is (가 before a final consonant); so it is only ever given decomposed text.
enum CanonicalForm {
  /// NFC: canonically equivalent text with everything composed that can be.
  static func composed(_ text: String.UnicodeScalarView) -> [Unicode.Scalar] {
    // Nothing below U+0300 composes with a neighbour below it, so Latin-1 text is in NFC already.
    if text.allSatisfy({ $0.value < 0x300 }) { return Array(text) }
    if text.allSatisfy({ $0.value < 0x10000 }) {
      let decomposed = String(text).decomposedStringWithCanonicalMapping
      return Array(decomposed.precomposedStringWithCanonicalMapping.unicodeScalars)
    }
    return compose(decompose(text))
  }

  /// NFD: canonically equivalent text with everything decomposed and marks in canonical order.
  static func decomposed(_ text: some Sequence<Unicode.Scalar>) -> [Unicode.Scalar] {
    if text.allSatisfy(\.isASCII) { return Array(text) }
    return decompose(text)
  }

  private static func decompose(_ text: some Sequence<Unicode.Scalar>) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    for scalar in text {
      if scalar.isASCII {
        result.append(scalar)
      } else {
        result.append(contentsOf: String(scalar).decomposedStringWithCanonicalMapping.unicodeScalars)
      }
    }
    orderMarks(&result)
    return result
  }

  /// Sorts each run of marks by combining class, keeping the order of those of one class.
  private static func orderMarks(_ scalars: inout [Unicode.Scalar]) {
    var start = 0
    while start < scalars.count {
      if combiningClass(scalars[start]) == 0 {
        start += 1
        continue
      }
      var end = start + 1
      while end < scalars.count, combiningClass(scalars[end]) != 0 { end += 1 }
      if end - start > 1 {
        let marks = scalars[start..<end].enumerated().sorted { left, right in
          let classes = (combiningClass(left.element), combiningClass(right.element))
          return classes.0 == classes.1 ? left.offset < right.offset : classes.0 < classes.1
        }
        scalars.replaceSubrange(start..<end, with: marks.map(\.element))
      }
      start = end
    }
  }

  private static func compose(_ decomposed: [Unicode.Scalar]) -> [Unicode.Scalar] {
    var result: [Unicode.Scalar] = []
    var starter: Int?
    var previousClass: UInt8 = 0
    for scalar in decomposed {
      let scalarClass = combiningClass(scalar)
      if let starter {
        // A scalar reaches the starter past marks of a lower class only; one of the same class or above
        // blocks it.
        let adjacent = starter == result.count - 1
        if adjacent || (previousClass != 0 && previousClass < scalarClass),
          let composite = composite(result[starter], scalar)
        {
          result[starter] = composite
          continue
        }
      }
      if scalarClass == 0 { starter = result.count }
      previousClass = scalarClass
      result.append(scalar)
    }
    return result
  }

  /// The one scalar that `first` and `second` compose to, if there is one.
  ///
  /// No pair composes across planes.
  private static func composite(_ first: Unicode.Scalar, _ second: Unicode.Scalar) -> Unicode.Scalar? {
    if second.value < 0x300 || first.value >> 16 != second.value >> 16 { return nil }
    var pair = String(first).decomposedStringWithCanonicalMapping.unicodeScalars
    pair.append(second)
    let composed = String(pair).precomposedStringWithCanonicalMapping.unicodeScalars
    guard let only = composed.first, composed.count == 1 else { return nil }
    return only
  }

  private static func combiningClass(_ scalar: Unicode.Scalar) -> UInt8 {
    scalar.value < 0x300 ? 0 : scalar.properties.canonicalCombiningClass.rawValue
  }
}
