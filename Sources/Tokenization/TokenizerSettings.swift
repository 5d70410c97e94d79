import Foundation

/// What a checkpoint's `tokenizer_config.json` says about tokenization.
///
/// Only the keys that change BERT's word pieces are read. Those that ask for anything but the usual
/// tokenization are refused, since the model would be fed other pieces than it was trained on.
public struct TokenizerSettings: Sendable, Equatable {
  /// `do_lower_case`; nil when the file does not say.
  public var lowercases: Bool?
  /// `strip_accents`; nil when the file does not say, so that accents go exactly when text is lower-cased.
  public var stripsAccents: Bool?

  /// Settings given in code; without arguments they say nothing, as when there is no file.
  public init(lowercases: Bool? = nil, stripsAccents: Bool? = nil) {
    self.lowercases = lowercases
    self.stripsAccents = stripsAccents
  }

  /// Reads a `tokenizer_config.json`.
  ///
  /// - Throws: `VocabularyError` when the file cannot be read, is not a JSON object, holds something other
  ///   than true or false for a key that is read, or asks for a tokenization that is not supported.
  public init(contentsOf url: URL) throws(VocabularyError) {
    let file: File
    do {
      file = try JSONDecoder().decode(File.self, from: try Data(contentsOf: url))
    } catch let error as DecodingError {
      throw .malformedSettings(path: url.path, reason: Self.reason(error))
    } catch {
      throw .unreadable(path: url.path, reason: error.localizedDescription)
    }
    for (key, value) in [
      ("do_basic_tokenize", file.splitsWords), ("tokenize_chinese_chars", file.spacesIdeographs),
    ] where value == false {
      throw .unsupportedSetting(path: url.path, key: key, found: "false", supported: "true")
    }
    lowercases = file.lowercases
    stripsAccents = file.stripsAccents
  }

  private struct File: Decodable {
    var lowercases: Bool?
    var stripsAccents: Bool?
    var splitsWords: Bool?
    var spacesIdeographs: Bool?

    enum CodingKeys: String, CodingKey {
      case lowercases = "do_lower_case"
      case stripsAccents = "strip_accents"
      case splitsWords = "do_basic_tokenize"
      case spacesIdeographs = "tokenize_chinese_chars"
    }
  }

  private static func reason(_ error: DecodingError) -> String {
    switch error {
    case .typeMismatch(_, let context), .valueNotFound(_, let context):
      guard let key = context.codingPath.last?.stringValue else { return "it should hold a JSON object" }
      return "\(key) should be true or false"
    case .keyNotFound(let key, _): return "\(key.stringValue) is missing"
    case .dataCorrupted: return "it is not JSON"
    @unknown default: return error.localizedDescription
    }
  }
}

extension WordPieceTokenizer {
  /// Opens the tokenizer of a checkpoint: `vocab.txt` and, if there is one, `tokenizer_config.json`.
  ///
  /// Where no `do_lower_case` is given, text is lower-cased exactly when the vocabulary is not cased.
  /// (Hugging Face's default would be to lower-case always, which is wrong for a cased checkpoint without the
  /// file.)
  ///
  /// - Throws: `VocabularyError` when a file is unreadable or malformed, or asks for what is not supported.
  public static func open(directory: URL) throws(VocabularyError) -> WordPieceTokenizer {
    let vocabulary = try Vocabulary(contentsOf: directory.appendingPathComponent("vocab.txt"))
    let file = directory.appendingPathComponent("tokenizer_config.json")
    var settings = TokenizerSettings()
    if FileManager.default.fileExists(atPath: file.path) {
      settings = try TokenizerSettings(contentsOf: file)
    }
    let lowercases = settings.lowercases ?? !vocabulary.isCased
    if let strips = settings.stripsAccents, strips != lowercases {
      throw .unsupportedSetting(
        path: file.path, key: "strip_accents", found: String(strips),
        supported: "\(lowercases), stripping accents exactly when lower-casing,")
    }
    return WordPieceTokenizer(vocabulary: vocabulary, lowercases: lowercases)
  }
}
