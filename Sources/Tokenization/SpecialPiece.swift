/// The five pieces that BERT gives a role of their own.
enum SpecialPiece: String, CaseIterable, Sendable {
  case pad = "[PAD]"
  case unknown = "[UNK]"
  case cls = "[CLS]"
  case sep = "[SEP]"
  case mask = "[MASK]"

  /// The UTF-8 text of every special piece.
  ///
  /// None is a prefix of another, so at most one starts at any place.
  static let spellings: [[UInt8]] = allCases.map { Array($0.rawValue.utf8) }

  /// The length in bytes of the special piece that starts at `position` of `text`; nil when none does.
  static func length(in text: [UInt8], at position: Int) -> Int? {
    guard text[position] == UInt8(ascii: "[") else { return nil }
    for spelling in spellings where text[position...].starts(with: spelling) { return spelling.count }
    return nil
  }
}
