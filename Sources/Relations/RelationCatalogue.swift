import Foundation

/// A directory of relations in PARAREL's layout.
///
/// - `facts.json`: `{relation: [[subject, answer], …]}`
/// - `patterns/<relation>.jsonl`: one JSON object a line, the template under the key `pattern`
/// - `labels.json` (optional): `{relation: words}`
///
/// Facts and labels are read at once; a relation's patterns when it is asked for.
public struct RelationCatalogue: Sendable {
  /// Where the catalogue lies.
  public let directory: URL
  /// The relations' names in natural order: P36 before P101.
  public let names: [String]

  let pairs: [String: [SubjectAndAnswer]]
  private let labels: [String: String]

  /// Opens the catalogue in `directory`.
  ///
  /// - Throws: `RelationError` when the directory or `facts.json` is missing, or a file does not hold what it
  ///   should.
  public init(directory: URL) throws(RelationError) {
    self.directory = directory
    var isDirectory: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: directory.path, isDirectory: &isDirectory)
    if !exists || !isDirectory.boolValue {
      throw .missing(
        path: directory.path, expected: "a directory with facts.json and patterns/<relation>.jsonl")
    }
    let facts = directory.appendingPathComponent("facts.json")
    pairs = try decode(
      [String: [SubjectAndAnswer]].self, from: try contents(of: facts, expected: Self.factsLayout),
      path: facts.path, expected: Self.factsLayout)
    // A name becomes part of a path below.
    if let name = pairs.keys.sorted().first(where: { $0.isEmpty || $0.contains("/") }) {
      throw .malformed(
        path: facts.path, line: nil,
        reason: "\"\(name)\" cannot name a relation; a name is a file name, as P36 is")
    }
    let labels = directory.appendingPathComponent("labels.json")
    if FileManager.default.fileExists(atPath: labels.path) {
      let layout = "{relation: words}"
      self.labels = try decode(
        [String: String].self, from: try contents(of: labels, expected: layout), path: labels.path,
        expected: layout)
    } else {
      self.labels = [:]
    }
    names = pairs.keys.sorted { NaturalOrder($0) < NaturalOrder($1) }
  }

  /// The relation in words; its name where `labels.json` does not tell.
  public func label(of name: String) -> String {
    labels[name] ?? name
  }

  /// The relation called `name`, or, when none is, the only one with that label; case does not matter.
  ///
  /// - Throws: `RelationError` when there is none (with near misses), when several share the label, or when
  ///   the relation's patterns are missing or malformed.
  public func relation(named name: String) throws(RelationError) -> Relation {
    let name = try resolve(name)
    return Relation(
      name: name, label: label(of: name), templates: try templates(of: name),
      facts: (pairs[name] ?? []).map { Fact(relation: name, subject: $0.subject, answer: $0.answer) })
  }

  /// Every relation, in the order of `names`.
  ///
  /// - Throws: `RelationError` when a relation's patterns are missing or malformed.
  public var all: [Relation] {
    get throws(RelationError) {
      var relations: [Relation] = []
      for name in names { relations.append(try relation(named: name)) }
      return relations
    }
  }

  /// What edits draw from, in the order of `names`: each relation's name, templates and facts, every text behind its length in
  /// bytes and every list behind its length, so that no two catalogues that differ have the same.
  ///
  /// - Throws: `RelationError` when a relation's patterns are missing or malformed.
  package func canonicalBytes() throws(RelationError) -> Data {
    var result = Data()
    func append(_ count: Int) { result.append(contentsOf: "\(count) ".utf8) }
    func append(_ text: String) {
      append(text.utf8.count)
      result.append(contentsOf: text.utf8)
    }
    for relation in try all {
      append(relation.name)
      append(relation.templates.count)
      for template in relation.templates { append(template.pattern) }
      append(relation.facts.count)
      for fact in relation.facts {
        append(fact.subject)
        append(fact.answer)
      }
    }
    return result
  }

  private static let factsLayout = "{relation: [[subject, answer], …]} with both as strings"

  private func resolve(_ wanted: String) throws(RelationError) -> String {
    if pairs[wanted] != nil { return wanted }
    let lowered = wanted.lowercased()
    let byName = names.filter { $0.lowercased() == lowered }
    if byName.count == 1 { return byName[0] }
    let byLabel = names.filter { labels[$0]?.lowercased() == lowered }
    if byLabel.count == 1 { return byLabel[0] }
    if byLabel.count > 1 {
      throw .ambiguousLabel(label: wanted, directory: directory.path, names: byLabel)
    }
    let candidates = Set(names).union(names.compactMap { labels[$0] })
    throw .unknownRelation(
      name: wanted, directory: directory.path, suggestions: NearMisses(of: wanted, among: candidates).closest,
      present: names)
  }

  private func templates(of name: String) throws(RelationError) -> [Template] {
    let file = directory.appendingPathComponent("patterns").appendingPathComponent("\(name).jsonl")
    let layout = "a JSON object with a \"pattern\""
    let data = try contents(of: file, expected: "the patterns of \(name), on each line \(layout)")
    var templates: [Template] = []
    let lines = data.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
    for (index, line) in lines.enumerated() {
      if line.allSatisfy({ $0 == UInt8(ascii: " ") || $0 == UInt8(ascii: "\t") || $0 == UInt8(ascii: "\r") }) {
        continue
      }
      let entry = try decode(
        PatternLine.self, from: Data(line), path: file.path, line: index + 1, expected: layout)
      let template: Template
      do throws(RelationError) {
        template = try Template(entry.pattern)
      } catch {
        throw .malformed(path: file.path, line: index + 1, reason: String(error.description.dropLast()))
      }
      if !template.takesSubject {
        throw .malformed(
          path: file.path, line: index + 1,
          reason: "the template \"\(entry.pattern)\" has no [X] where the subject should go; add one")
      }
      templates.append(template)
    }
    if templates.isEmpty {
      throw .malformed(
        path: file.path, line: nil, reason: "it holds no pattern; on each line should be \(layout)")
    }
    return templates
  }
}

private struct PatternLine: Decodable {
  var pattern: String
}

/// `[subject, answer]`.
struct SubjectAndAnswer: Decodable {
  var subject: String
  var answer: String

  init(from decoder: any Decoder) throws {
    var container = try decoder.unkeyedContainer()
    guard container.count == 2 else {
      throw DecodingError.dataCorrupted(
        .init(
          codingPath: decoder.codingPath,
          debugDescription: "holds \(container.count ?? 0) values and not the pair of subject and answer"))
    }
    subject = try container.decode(String.self)
    answer = try container.decode(String.self)
  }
}
