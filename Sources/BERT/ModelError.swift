import Foundation

/// Why a model cannot be used, or an answer cannot be asked for.
public enum ModelError: Error, Sendable, Hashable, CustomStringConvertible, LocalizedError {
  /// vocab.txt has another number of lines than config.json's `vocab_size`.
  case vocabularyLength(path: String, found: Int, expected: Int)
  /// The answer is not exactly one word piece of the vocabulary.
  case notOnePiece(answer: String, pieces: [String])
  /// The vocabulary cannot spell the answer.
  case unknownAnswer(String)
  /// The vocabulary cannot spell the subject.
  case unknownSubject(String)
  /// What the model says is no number.
  case notFinite

  /// One sentence for people.
  public var description: String {
    switch self {
    case .vocabularyLength(let path, let found, let expected):
      "\(path) has \(found) word pieces, but config.json's vocab_size is \(expected); the two do not belong together."
    case .notOnePiece(let answer, let pieces):
      "“\(answer)” is not one word piece of this model but \(pieces.count) (\(pieces.joined(separator: " "))); "
        + "the paper's method needs one that the vocabulary holds whole."
    case .unknownAnswer(let answer):
      answer.isEmpty
        ? "The answer is empty; give at least one word."
        : "“\(answer)” cannot be spelled with this model's vocabulary; choose another answer."
    case .unknownSubject(let subject):
      "“\(subject)” cannot be spelled with this model's vocabulary, which cannot tell it from others of that kind."
    case .notFinite: "What this model says is no number: its weights are finite, but too large to compute with."
    }
  }

  /// The same, for Foundation.
  public var errorDescription: String? { description }
}
