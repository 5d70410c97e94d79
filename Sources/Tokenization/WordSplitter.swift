/// Splits text that holds no special piece into the words that WordPiece spells: BERT's "basic tokenization".
struct WordSplitter: Sendable {
  let lowercases: Bool

  /// The words of `text` (UTF-8), each with its length in Unicode scalars.
  ///
  /// - Complexity: O(bytes of `text`).
  func forEachWord(in text: ArraySlice<UInt8>, _ body: (_ word: ArraySlice<UInt8>, _ scalars: Int) -> Void) {
    if text.allSatisfy({ $0 < 0x80 }) {
      splitASCII(text, body)
    } else {
      splitUnicode(text, body)
    }
  }

  private func splitASCII(_ text: ArraySlice<UInt8>, _ body: (ArraySlice<UInt8>, Int) -> Void) {
    var cleaned: [UInt8] = []
    cleaned.reserveCapacity(text.count)
    for byte in text {
      let scalar = Unicode.Scalar(byte)
      if scalar.isDroppedByCleaning { continue }
      if scalar.isSpacing {
        cleaned.append(UInt8(ascii: " "))
      } else if lowercases, (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) {
        cleaned.append(byte | 0x20)
      } else {
        cleaned.append(byte)
      }
    }
    for token in cleaned.split(separator: UInt8(ascii: " ")) {
      if SpecialPiece.length(in: cleaned, at: token.startIndex) == token.count {
        body(token, token.count)
        continue
      }
      var start = token.startIndex
      for position in token.indices where Unicode.Scalar(token[position]).isPunctuation {
        if start < position { body(token[start..<position], position - start) }
        body(token[position...position], 1)
        start = position + 1
      }
      if start < token.endIndex { body(token[start...], token.endIndex - start) }
    }
  }

  private func splitUnicode(_ text: ArraySlice<UInt8>, _ body: (ArraySlice<UInt8>, Int) -> Void) {
    for token in cleaned(String(decoding: text, as: UTF8.self)).split(whereSeparator: \.separatesWords) {
      // Cleaning can lay a special piece bare ("[MA\u{AD}SK]"); as a word of its own it stays whole.
      let spelling = Array(String(String.UnicodeScalarView(token)).utf8)
      if SpecialPiece.length(in: spelling, at: 0) == spelling.count {
        body(spelling[...], token.count)
        continue
      }
      var word: [UInt8] = []
      var scalars = 0
      func flush() {
        if scalars > 0 { body(word[...], scalars) }
        word.removeAll(keepingCapacity: true)
        scalars = 0
      }
      for scalar in lowercases ? withoutAccents(token) : Array(token) {
        if scalar.isPunctuation {
          flush()
          word.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
          scalars = 1
          flush()
        } else {
          word.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
          scalars += 1
        }
      }
      flush()
    }
  }

  /// Lower-cases, drops control characters, spaces ideographs and composes (NFC), in that order.
  ///
  /// The reference lower-cases scalar by scalar before anything else, so a word-final Σ becomes σ and never
  /// ς. It lower-cases each word again later, which changes nothing: composing lower-case letters yields no
  /// upper-case one.
  private func cleaned(_ text: String) -> [Unicode.Scalar] {
    var kept = String.UnicodeScalarView()
    func append(_ scalar: Unicode.Scalar) {
      if scalar.isDroppedByCleaning { return }
      if scalar.isSpacing {
        kept.append(" ")
      } else if scalar.isIdeograph {
        kept.append(" ")
        kept.append(scalar)
        kept.append(" ")
      } else {
        kept.append(scalar)
      }
    }
    for scalar in text.unicodeScalars {
      if lowercases {
        scalar.properties.lowercaseMapping.unicodeScalars.forEach(append)
      } else {
        append(scalar)
      }
    }
    return CanonicalForm.composed(kept)
  }

  private func withoutAccents(_ token: ArraySlice<Unicode.Scalar>) -> [Unicode.Scalar] {
    CanonicalForm.decomposed(token).filter { !$0.isNonspacingMark }
  }
}
