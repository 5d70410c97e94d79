/// The classes of characters that BERT's basic tokenization tells apart.
///
/// They follow the Unicode tables of the Swift runtime, as Hugging Face's follow those of the Python at hand.
extension Unicode.Scalar {
  /// Dropped from the text: null, the replacement character, and category C except tab and line ends.
  var isDroppedByCleaning: Bool {
    switch self {
    case "\t", "\n", "\r": return false
    case "\u{FFFD}": return true
    default: break
    }
    if isASCII { return value < 0x20 || value == 0x7F }
    switch properties.generalCategory {
    case .control, .format, .surrogate, .privateUse, .unassigned: return true
    default: return false
    }
  }

  /// Becomes a space: tab, line ends and category Zs.
  var isSpacing: Bool {
    switch self {
    case " ", "\t", "\n", "\r": true
    default: !isASCII && properties.generalCategory == .spaceSeparator
    }
  }

  /// Separates words in cleaned text.
  ///
  /// Python's `str.split` also splits at the line and paragraph separators, which cleaning leaves alone.
  var separatesWords: Bool {
    self == " " || self == "\u{2028}" || self == "\u{2029}"
  }

  /// Stands alone as a word: category P, and every ASCII symbol whatever its category (`$`, `+`, `^`).
  var isPunctuation: Bool {
    if isASCII {
      switch value {
      case 33...47, 58...64, 91...96, 123...126: return true
      default: return false
      }
    }
    switch properties.generalCategory {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
      .finalPunctuation, .otherPunctuation:
      return true
    default: return false
    }
  }

  /// Stands alone as a word: the CJK ideograph blocks that BERT names, not Hangul or kana.
  var isIdeograph: Bool {
    switch value {
    case 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFAFF, 0x20000...0x2A6DF, 0x2A700...0x2B73F,
      0x2B740...0x2B81F, 0x2B820...0x2CEAF, 0x2F800...0x2FA1F:
      true
    default: false
    }
  }

  /// An accent that lower-casing tokenization strips once decomposed.
  var isNonspacingMark: Bool { properties.generalCategory == .nonspacingMark }
}
