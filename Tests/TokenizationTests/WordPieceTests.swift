import Foundation
import Testing
import Tokenization

/// Expected pieces were taken from Hugging Face's `BertTokenizer` (4.48) over this same vocabulary.
@Suite("Word pieces")
struct WordPieceTests {
  static let vocabulary = Result {
    try Vocabulary(
      pieces: specialPieces + [
        "un", "##aff", "##able", "##un", "Caf", "cafe", "##\u{E9}", "##e", "\u{E9}", "##ing", "#", "σ", "##σ",
        "ς",
        "Σ", "ο", "##ο", "a", "A", "b", "B", ".", ",", "$", "^", "¿", "中", "ク", "i", "##i", "ß", "caf\u{E9}",
        "e\u{301}", "\u{AC00}", "##\u{11A8}", "\u{AC01}", "x", "##x", "\u{C1}", "##\u{307}", "\u{1100}",
        "##\u{1161}",
        "foo", "bar", "\u{211D}", "MASK", "mask", "[", "]", "K", "k",
      ])
  }

  /// Pieces scalar by scalar, because `==` of strings would take `é` and `e` with an accent for one.
  private func tokenize(_ text: String, lowercases: Bool) throws -> [[UInt32]] {
    let tokenizer = WordPieceTokenizer(vocabulary: try Self.vocabulary.get(), lowercases: lowercases)
    return scalars(tokenizer.tokenize(text))
  }

  private func scalars(_ pieces: [String]) -> [[UInt32]] {
    pieces.map { $0.unicodeScalars.map(\.value) }
  }

  struct Case: Sendable, CustomTestStringConvertible {
    var rule: String
    var text: String
    var cased: [String]
    var uncased: [String]

    init(_ rule: String, _ text: String, _ cased: [String], uncased: [String]? = nil) {
      (self.rule, self.text, self.cased, self.uncased) = (rule, text, cased, uncased ?? cased)
    }

    var testDescription: String { rule }
  }

  static let cases: [Case] = [
    Case("longest piece first", "unaffable", ["un", "##aff", "##able"]),
    Case("each word on its own", "unun unaff unaffx", ["un", "##un", "un", "##aff", "un", "##aff", "##x"]),
    Case("a word with an unknown part is unknown whole", "unaffz un", ["[UNK]", "un"]),
    Case("a continuation is not a word", "##ing", ["#", "#", "[UNK]"]),
    Case("composed accent", "Caf\u{E9}", ["Caf", "##\u{E9}"], uncased: ["cafe"]),
    Case("decomposed accent is composed first", "Cafe\u{301}", ["Caf", "##\u{E9}"], uncased: ["cafe"]),
    Case("a lone accent is stripped to nothing", "\u{301}", ["[UNK]"], uncased: []),
    Case(
      "white space of every kind", "a\tb\r\nA\u{A0}B\u{3000}a", ["a", "b", "A", "B", "a"],
      uncased: ["a", "b", "a", "b", "a"]),
    Case("line and paragraph separators", "a\u{2028}b\u{2029}A", ["a", "b", "A"], uncased: ["a", "b", "a"]),
    Case("controls are dropped and join", "fo\u{0}o\u{FFFD} b\u{200B}a\u{7}r\u{7F}", ["foo", "bar"]),
    Case("private use is dropped", "fo\u{E000}o", ["foo"]),
    Case(
      "punctuation stands alone", "a.b,$^¿A", ["a", ".", "b", ",", "$", "^", "¿", "A"],
      uncased: ["a", ".", "b", ",", "$", "^", "¿", "a"]),
    Case("ideographs stand alone", "a中b", ["a", "中", "b"]),
    Case("kana do not", "クク", ["[UNK]"]),
    Case(
      "special pieces are found inside words", "foo[MASK]bar [SEP].[CLS][PAD] [UNK]x",
      ["foo", "[MASK]", "bar", "[SEP]", ".", "[CLS]", "[PAD]", "[UNK]", "x"]),
    Case("special pieces inside brackets", "[[MASK]]", ["[", "[MASK]", "]"]),
    Case("special pieces are spelled in capitals", "[mask]", ["[", "mask", "]"]),
    Case("cleaning lays a special piece bare", "[MA\u{AD}SK]", ["[MASK]"], uncased: ["[", "mask", "]"]),
    Case(
      "but only as a whole word", "[MA\u{7}SK] [MA\u{7}SK]a", ["[MASK]", "[", "MASK", "]", "a"],
      uncased: ["[", "mask", "]", "[", "mask", "]", "a"]),
    Case("no final sigma", "ΟΣ οσ", ["[UNK]", "ο", "##σ"], uncased: ["ο", "##σ", "ο", "##σ"]),
    Case("dotted capital I", "\u{130}", ["[UNK]"], uncased: ["i"]),
    Case("capital sharp s", "ß \u{1E9E}", ["ß", "[UNK]"], uncased: ["ß", "ß"]),
    Case(
      "Hangul is composed, and decomposed again with accents", "\u{AC00}\u{11A8}", ["\u{AC01}"],
      uncased: ["\u{1100}", "##\u{1161}", "##\u{11A8}"]),
    Case("a scalar beyond U+FFFF is not taken for its low bits", "\u{10041}\u{301}", ["[UNK]"]),
    Case("Kelvin sign", "\u{212A} K", ["K", "K"], uncased: ["k", "k"]),
    Case("a hundred characters are a word", String(repeating: "x", count: 100), xs(100)),
    Case("a hundred and one are not", String(repeating: "x", count: 101), ["[UNK]"]),
    Case("nothing", "", []),
    Case("only white space", " \n\u{A0}", []),
  ]

  private static func xs(_ count: Int) -> [String] {
    ["x"] + Array(repeating: "##x", count: count - 1)
  }

  @Test("each rule, cased", arguments: cases)
  func cased(_ example: Case) throws {
    #expect(try tokenize(example.text, lowercases: false) == scalars(example.cased))
  }

  @Test("each rule, lower-casing", arguments: cases)
  func uncased(_ example: Case) throws {
    #expect(try tokenize(example.text, lowercases: true) == scalars(example.uncased))
  }

  @Test("the length limit counts scalars, not bytes")
  func limitInScalars() throws {
    let text = "x" + String(repeating: "\u{E9}", count: 99)
    #expect(try tokenize(text, lowercases: false).count == 100)
    #expect(try tokenize(text + "\u{E9}", lowercases: false) == scalars(["[UNK]"]))
  }

  @Test("encoding puts [CLS] before and [SEP] after")
  func encoding() throws {
    let vocabulary = try Self.vocabulary.get()
    let tokenizer = WordPieceTokenizer(vocabulary: vocabulary, lowercases: false)
    let pieces = tokenizer.pieces(of: "foo [MASK].")
    #expect(pieces == [vocabulary.id(of: "foo"), vocabulary.mask, vocabulary.id(of: ".")])
    #expect(tokenizer.encode("foo [MASK].") == [vocabulary.cls] + pieces + [vocabulary.sep])
    #expect(tokenizer.encode("") == [vocabulary.cls, vocabulary.sep])
  }

  @Test("without any continuation pieces only whole words are known")
  func noContinuations() throws {
    let tokenizer = WordPieceTokenizer(
      vocabulary: try Vocabulary(pieces: specialPieces + ["a", "ab"]), lowercases: false)
    #expect(tokenizer.tokenize("ab a abb") == ["ab", "a", "[UNK]"])
  }
}
