import Foundation

/// Why a vocabulary or a tokenizer's settings could not be used.
public enum VocabularyError: Error, Equatable, Sendable {
  /// The file at `path` could not be read; `reason` is the system's word.
  case unreadable(path: String, reason: String)
  /// Line `line` (from 1) of the file at `path` is not UTF-8.
  case notUTF8(path: String, line: Int)
  /// The vocabulary lacks the special piece `piece`; `origin` says which vocabulary, `count` how many pieces
  /// it has.
  case missingSpecialPiece(piece: String, origin: String, count: Int)
  /// The settings file at `path` is not what a tokenizer_config.json should be.
  case malformedSettings(path: String, reason: String)
  /// The settings file at `path` asks for a tokenization other than BERT's usual one.
  case unsupportedSetting(path: String, key: String, found: String, supported: String)
}

extension VocabularyError: CustomStringConvertible, LocalizedError {
  /// One sentence: what was expected, what was found, where, and what to do.
  public var description: String {
    switch self {
    case .unreadable(let path, let reason):
      "Cannot read \(path) (\(reason)); a BERT directory should hold a readable vocab.txt with one word piece "
        + "a line."
    case .notUTF8(let path, let line):
      "Line \(line) of \(path) is not UTF-8; save the vocabulary as UTF-8 with one word piece a line."
    case .missingSpecialPiece(let piece, let origin, let count):
      "\(origin) has \(count) pieces but no \(piece); a BERT vocabulary needs "
        + "\(SpecialPiece.allCases.map(\.rawValue).joined(separator: ", ")), so use the vocab.txt that came with "
        + "the model."
    case .malformedSettings(let path, let reason):
      "\(path) is not a usable tokenizer configuration: \(reason); correct or remove the file."
    case .unsupportedSetting(let path, let key, let found, let supported):
      "\(path) sets \(key) to \(found), but only \(supported) is supported; a model trained otherwise would be "
        + "fed wrong word pieces."
    }
  }

  /// The same sentence as `description`.
  public var errorDescription: String? { description }
}
