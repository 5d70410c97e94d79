import FixtureFiles
import Foundation
import Testing
import Tokenization

@Suite("Reference tokenization", .enabled(if: SharedReference.isEnabled))
struct ReferenceTokenizationTests {
  struct Line: Decodable {
    var text: String
    var cased: [Int]
    var uncased: [Int]
  }

  @Test("every golden line has BertTokenizer's ids, cased and lower-cased")
  func goldenLines() throws {
    let shared = SharedReference.directory
    let vocabulary = try Vocabulary(contentsOf: shared.appendingPathComponent("bert-base-cased/vocab.txt"))
    #expect(vocabulary.count == 28_996)
    #expect(vocabulary.isCased)
    let cased = WordPieceTokenizer(vocabulary: vocabulary, lowercases: false)
    let uncased = WordPieceTokenizer(vocabulary: vocabulary, lowercases: true)
    let goldens = try Data(
      contentsOf: shared.appendingPathComponent("reference/goldens/tokenization.jsonl"))
    var lines = 0
    for json in goldens.split(separator: UInt8(ascii: "\n")) {
      let line = try JSONDecoder().decode(Line.self, from: Data(json))
      lines += 1
      #expect(cased.encode(line.text) == line.cased, "line \(lines)")
      #expect(uncased.encode(line.text) == line.uncased, "line \(lines)")
    }
    #expect(lines == 2_094)
  }

  @Test("the published directory, which has no tokenizer_config.json, opens as cased")
  func opensCased() throws {
    let directory = SharedReference.directory.appendingPathComponent("bert-base-cased")
    let tokenizer = try WordPieceTokenizer.open(directory: directory)
    #expect(!tokenizer.lowercases)
    #expect(tokenizer.encode("[MASK]") == [101, 103, 102])
  }
}
