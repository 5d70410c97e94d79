/// What the header of a safetensors file says of one tensor.
struct SafetensorsItem {
  let name: String
  let elementType: String
  let shape: [Int]
  /// First byte and the byte after the last, counted from the end of the header.
  let begin: Int
  let end: Int
}

/// Parses the header of a safetensors file.
///
/// The header's grammar is a small part of JSON, and it is parsed as such: a general JSON reader would silently take
/// the last of two tensors of one name, and round numbers that are too large.
struct SafetensorsHeader {
  /// Why a header is refused, to be put into a sentence that names the file.
  struct Refusal: Error { let reason: String }

  private let bytes: ArraySlice<UInt8>
  private var position: Int

  private init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  /// The tensors that a header lists, in the order in which it lists them.
  static func items(_ bytes: ArraySlice<UInt8>) throws(Refusal) -> [SafetensorsItem] {
    var parser = SafetensorsHeader(bytes)
    let items = try parser.header()
    parser.skipSpace()
    guard parser.position == bytes.endIndex else { throw parser.refusal("text follows its JSON object") }
    return items
  }

  private func refusal(_ reason: String) -> Refusal {
    Refusal(
      reason:
        "its header is not what safetensors asks for: \(reason) (byte \(8 + position - bytes.startIndex))")
  }

  private mutating func header() throws(Refusal) -> [SafetensorsItem] {
    var items: [SafetensorsItem] = []
    try members { (parser: inout SafetensorsHeader, name: String) throws(Refusal) in
      if name == "__metadata__" {
        try parser.members { (parser: inout SafetensorsHeader, _: String) throws(Refusal) in
          _ = try parser.string()
        }
      } else {
        items.append(try parser.item(name))
      }
    }
    return items
  }

  private mutating func item(_ name: String) throws(Refusal) -> SafetensorsItem {
    var elementType: String?
    var shape: [Int]?
    var offsets: [Int]?
    try members { (parser: inout SafetensorsHeader, key: String) throws(Refusal) in
      switch key {
      case "dtype": elementType = try parser.string()
      case "shape": shape = try parser.integers()
      case "data_offsets": offsets = try parser.integers()
      default: throw parser.refusal("tensor \(name) has the unknown key \(key)")
      }
    }
    guard let elementType, let shape, let offsets, offsets.count == 2 else {
      throw refusal("tensor \(name) lacks dtype, shape or two data_offsets")
    }
    return SafetensorsItem(
      name: name, elementType: elementType, shape: shape, begin: offsets[0], end: offsets[1])
  }

  /// Parses an object, calling `value` after each key and colon; a key that comes twice is refused.
  private mutating func members(
    _ value: (inout SafetensorsHeader, String) throws(Refusal) -> Void
  ) throws(Refusal) {
    try expect("{")
    if take("}") { return }
    // Keys are compared by their bytes: Swift's strings would take two spellings of one accented letter for one.
    var seen: Set<[UInt8]> = []
    repeat {
      let key = try string()
      guard seen.insert(Array(key.utf8)).inserted else { throw refusal("the name \(key) comes twice") }
      try expect(":")
      try value(&self, key)
    } while take(",")
    try expect("}")
  }

  private mutating func integers() throws(Refusal) -> [Int] {
    try expect("[")
    if take("]") { return [] }
    var result: [Int] = []
    repeat {
      skipSpace()
      var number = 0
      let start = position
      while position < bytes.endIndex, (0x30...0x39).contains(bytes[position]) {
        let (tens, overflow) = number.multipliedReportingOverflow(by: 10)
        let (sum, carry) = tens.addingReportingOverflow(Int(bytes[position] - 0x30))
        guard !overflow, !carry else { throw refusal("a number is too large") }
        number = sum
        position += 1
      }
      guard position > start else { throw refusal("a whole number of at least 0 is expected") }
      result.append(number)
    } while take(",")
    try expect("]")
    return result
  }

  private mutating func string() throws(Refusal) -> String {
    try expect("\"")
    var text: [UInt8] = []
    while position < bytes.endIndex {
      let byte = bytes[position]
      position += 1
      switch byte {
      case UInt8(ascii: "\""):
        guard let string = String(validating: text, as: UTF8.self) else {
          throw refusal("a name is not UTF-8")
        }
        return string
      case UInt8(ascii: "\\"):
        try escape(into: &text)
      case 0..<0x20:
        throw refusal("a name holds a control character")
      default:
        text.append(byte)
      }
    }
    throw refusal("a name does not end")
  }

  private mutating func escape(into text: inout [UInt8]) throws(Refusal) {
    guard position < bytes.endIndex else { throw refusal("a name does not end") }
    let byte = bytes[position]
    position += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(byte)
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "f"): text.append(0x0c)
    case UInt8(ascii: "n"): text.append(0x0a)
    case UInt8(ascii: "r"): text.append(0x0d)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "u"):
      var units = [try codeUnit()]
      if UTF16.isLeadSurrogate(units[0]), bytes[position...].starts(with: [0x5c, 0x75]) {
        position += 2
        units.append(try codeUnit())
      }
      guard let string = String(validating: units, as: UTF16.self) else {
        throw refusal("a name holds half of a surrogate pair")
      }
      text += string.utf8
    default: throw refusal("a name holds an unknown escape")
    }
  }

  private mutating func codeUnit() throws(Refusal) -> UInt16 {
    let digits = bytes[position...].prefix(4)
    guard digits.count == 4, digits.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit }),
      let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
    else { throw refusal("a name holds an unknown escape") }
    position += 4
    return unit
  }

  private mutating func skipSpace() {
    while position < bytes.endIndex, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[position]) { position += 1 }
  }

  /// Steps over `character` when it comes next.
  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard position < bytes.endIndex, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(Refusal) {
    guard take(character) else { throw refusal("\(character) is expected") }
  }
}
