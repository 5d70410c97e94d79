import FixtureFiles
import Foundation
import Testing
import Tokenization

let specialPieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

@Suite("Vocabulary")
struct VocabularyTests {
  private func read(_ text: String) throws -> Vocabulary {
    try read(Array(text.utf8))
  }

  private func read(_ bytes: [UInt8]) throws -> Vocabulary {
    try FixtureFiles.withDirectory { directory in
      let file = directory.appendingPathComponent("vocab.txt")
      try Data(bytes).write(to: file)
      return try Vocabulary(contentsOf: file)
    }
  }

  @Test(
    "ids are line numbers, whatever ends the lines",
    arguments: ["\n", "\r\n", "\r"], [true, false])
  func lineEnds(end: String, endsLastLine: Bool) throws {
    let text = (specialPieces + ["word"]).joined(separator: end) + (endsLastLine ? end : "")
    let vocabulary = try read(text)
    #expect(vocabulary.count == 6)
    #expect(vocabulary.id(of: "word") == 5)
    #expect(vocabulary.piece(5) == "word")
    let specials: [Int] = [
      vocabulary.pad, vocabulary.unknown, vocabulary.cls, vocabulary.sep, vocabulary.mask,
    ]
    #expect(specials == Array(0..<5))
  }

  @Test("only line ends split: a piece may hold another Unicode separator, and an empty line is a piece")
  func otherSeparators() throws {
    let vocabulary = try read(specialPieces.joined(separator: "\n") + "\na\u{2028}b\u{85}c\u{0B}d\n\nlast")
    #expect(vocabulary.count == 8)
    #expect(vocabulary.id(of: "a\u{2028}b\u{85}c\u{0B}d") == 5)
    #expect(vocabulary.id(of: "") == 6)
    #expect(vocabulary.id(of: "last") == 7)
  }

  @Test("pieces that Swift calls equal strings are different pieces")
  func exactScalars() throws {
    let vocabulary = try Vocabulary(pieces: specialPieces + ["\u{E9}", "e\u{301}", "\u{212B}"])
    #expect(vocabulary.id(of: "\u{E9}") == 5)
    #expect(vocabulary.id(of: "e\u{301}") == 6)
    #expect(vocabulary.id(of: "\u{C5}") == nil)
  }

  @Test("of a repeated piece the later id wins, and both lines count")
  func repeatedPiece() throws {
    let vocabulary = try Vocabulary(pieces: specialPieces + ["a", "b", "a"])
    #expect(vocabulary.count == 8)
    #expect(vocabulary.id(of: "a") == 7)
    #expect(vocabulary.piece(5) == "a")
  }

  @Test("an id outside the vocabulary is [UNK], and an unknown piece has no id", arguments: [-1, 5, Int.max])
  func outside(id: Int) throws {
    let vocabulary = try Vocabulary(pieces: specialPieces)
    #expect(vocabulary.piece(id) == "[UNK]")
    #expect(vocabulary.id(of: "[MAS") == nil)
    #expect(vocabulary.id(of: "[MASK]]") == nil)
  }

  @Test("a missing special piece is named", arguments: specialPieces)
  func missingSpecial(piece: String) {
    let pieces = specialPieces.filter { $0 != piece }
    #expect(
      throws: VocabularyError.missingSpecialPiece(piece: piece, origin: "the vocabulary", count: 4)
    ) {
      try Vocabulary(pieces: pieces)
    }
  }

  @Test("an empty file and a missing file are errors")
  func nothingThere() throws {
    #expect(throws: VocabularyError.self) { try read("") }
    try FixtureFiles.withDirectory { directory in
      _ = #expect(throws: VocabularyError.self) {
        try Vocabulary(contentsOf: directory.appendingPathComponent("vocab.txt"))
      }
    }
  }

  @Test("a line that is not UTF-8 is named")
  func notUTF8() throws {
    let bytes = Array((specialPieces.joined(separator: "\n") + "\n").utf8) + [0x61, 0xFF, 0x0A]
    do {
      _ = try read(bytes)
      Issue.record("read a vocabulary that is not UTF-8")
    } catch VocabularyError.notUTF8(_, let line) {
      #expect(line == 6)
    }
  }

  @Test("a vocabulary is cased when a piece would not survive lower-casing, special pieces aside")
  func casing() throws {
    #expect(try !Vocabulary(pieces: specialPieces + ["[unused1]", "paris", "##s", "ß", "中"]).isCased)
    #expect(try Vocabulary(pieces: specialPieces + ["paris", "Paris"]).isCased)
    #expect(try Vocabulary(pieces: specialPieces + ["##É"]).isCased)
    // Upper-case by category, but with no lower-case form: found in uncased vocabularies.
    #expect(try !Vocabulary(pieces: specialPieces + ["\u{211D}"]).isCased)
  }
}
