import FixtureFiles
import Foundation
import Testing
import Tokenization

@Suite("Tokenizer settings")
struct TokenizerSettingsTests {
  private func open(_ ordinary: [String], settings: String?) throws -> WordPieceTokenizer {
    try FixtureFiles.withDirectory { directory in
      let pieces = (specialPieces + ordinary).joined(separator: "\n")
      try Data(pieces.utf8).write(to: directory.appendingPathComponent("vocab.txt"))
      if let settings {
        try Data(settings.utf8).write(to: directory.appendingPathComponent("tokenizer_config.json"))
      }
      return try WordPieceTokenizer.open(directory: directory)
    }
  }

  @Test("without a setting the vocabulary decides", arguments: [nil, "{}", #"{"model_max_length": 512}"#])
  func vocabularyDecides(settings: String?) throws {
    #expect(try !open(["Paris"], settings: settings).lowercases)
    #expect(try open(["paris"], settings: settings).lowercases)
  }

  @Test("the setting wins over the vocabulary", arguments: [true, false])
  func settingWins(lowercases: Bool) throws {
    let settings =
      #"{"do_lower_case": \#(lowercases), "strip_accents": null, "tokenize_chinese_chars": true}"#
    #expect(try open(["Paris"], settings: settings).lowercases == lowercases)
    #expect(try open(["paris"], settings: settings).lowercases == lowercases)
  }

  @Test(
    "a malformed file is an error that says so",
    arguments: ["", "{", "[]", "3", #"{"do_lower_case": "no"}"#, #"{"do_lower_case": 1}"#])
  func malformed(settings: String) throws {
    do {
      _ = try open(["Paris"], settings: settings)
      Issue.record("took \(settings) for settings")
    } catch VocabularyError.malformedSettings(let path, _) {
      #expect(path.hasSuffix("tokenizer_config.json"))
    }
  }

  @Test(
    "a tokenization that is not BERT's usual one is refused, not ignored",
    arguments: [
      #"{"do_lower_case": true, "strip_accents": false}"#,
      #"{"do_lower_case": false, "strip_accents": true}"#,
      #"{"strip_accents": true}"#, #"{"tokenize_chinese_chars": false}"#, #"{"do_basic_tokenize": false}"#,
    ])
  func unsupported(settings: String) throws {
    do {
      _ = try open(["Paris"], settings: settings)
      Issue.record("took \(settings)")
    } catch VocabularyError.unsupportedSetting(_, let key, _, _) {
      #expect(settings.contains(key))
    }
  }

  @Test("a directory without vocab.txt is an error naming it")
  func noVocabulary() throws {
    try FixtureFiles.withDirectory { directory in
      do {
        _ = try WordPieceTokenizer.open(directory: directory)
        Issue.record("opened an empty directory")
      } catch {
        #expect(String(describing: error).contains("vocab.txt"))
      }
    }
  }
}
