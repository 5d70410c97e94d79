import Foundation

/// Why a relation, a template or a fact could not be had.
public enum RelationError: Error, Equatable, Sendable {
  /// Nothing is at `path`; `expected` says what should be.
  case missing(path: String, expected: String)
  /// The file at `path` could not be read; `reason` is the system's word.
  case unreadable(path: String, reason: String)
  /// The file at `path` does not hold what it should; `line` counts from 1 where the file is one value a
  /// line.
  case malformed(path: String, line: Int?, reason: String)
  /// `pattern` is not a usable template; `reason` says what is missing or too much.
  case invalidTemplate(pattern: String, reason: String)
  /// No relation of the catalogue at `directory` has this name or label.
  case unknownRelation(name: String, directory: String, suggestions: [String], present: [String])
  /// Several relations have this label.
  case ambiguousLabel(label: String, directory: String, names: [String])
  /// No fact of `relation` is about `subject`; `count` is the number of its facts.
  case unknownSubject(subject: String, relation: String, suggestions: [String], count: Int)
  /// `subject` has several answers and none was named.
  case severalAnswers(subject: String, relation: String, answers: [String])
  /// `answer` is not among the answers of `subject`.
  case unknownAnswer(answer: String, subject: String, relation: String, answers: [String])
  /// The selection at `path` names other relations only.
  case notSelected(relation: String, present: [String], path: String)
  /// The selection at `path` names a fact that the relation does not have.
  case indexOutOfRange(index: Int, relation: String, count: Int, path: String)
}

extension RelationError: CustomStringConvertible, LocalizedError {
  /// One sentence: what was expected, what was found, where, and what to do.
  public var description: String {
    switch self {
    case .missing(let path, let expected):
      "There is no \(path), which should be \(expected)."
    case .unreadable(let path, let reason):
      "Cannot read \(path) (\(reason)); make it readable or name another."
    case .malformed(let path, let line, let reason):
      "\(path)\(line.map { ", line \($0)" } ?? "") is malformed: \(reason)."
    case .invalidTemplate(let pattern, let reason):
      "The template “\(pattern)” \(reason)."
    case .unknownRelation(let name, let directory, let suggestions, let present):
      "No relation \(name) in \(directory)"
        + Self.hint(suggestions, otherwise: "; it holds \(Self.list(present)).")
    case .ambiguousLabel(let label, let directory, let names):
      "Several relations in \(directory) are labelled “\(label)”; name one of \(names.joined(separator: ", "))."
    case .unknownSubject(let subject, let relation, let suggestions, let count):
      "None of the \(count) facts of \(relation) is about “\(subject)”"
        + Self.hint(suggestions.map { "“\($0)”" }, otherwise: "; name a subject of that relation.")
    case .severalAnswers(let subject, let relation, let answers):
      "\(relation) has \(answers.count) answers for “\(subject)”; say which is meant of: "
        + answers.joined(separator: ", ") + "."
    case .unknownAnswer(let answer, let subject, let relation, let answers):
      "“\(answer)” is not an answer of \(relation) for “\(subject)”; it should be one of: "
        + answers.joined(separator: ", ") + "."
    case .notSelected(let relation, let present, let path):
      "\(path) selects no facts of \(relation), but of \(present.isEmpty ? "no relation" : present.joined(separator: ", "))."
    case .indexOutOfRange(let index, let relation, let count, let path):
      "\(path) selects fact \(index) of \(relation), which has \(count) facts; an index should be at least 0 and "
        + "below \(count)."
    }
  }

  /// The same sentence as `description`.
  public var errorDescription: String? { description }

  private static func list(_ names: [String]) -> String {
    names.isEmpty
      ? "none" : names.prefix(40).joined(separator: ", ") + (names.count > 40 ? " and \(names.count - 40) more" : "")
  }

  private static func hint(_ suggestions: [String], otherwise: String) -> String {
    suggestions.isEmpty ? otherwise : "; did you mean \(suggestions.joined(separator: ", "))?"
  }
}
