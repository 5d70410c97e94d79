import Foundation

/// Facts and the answers they shall have, as a user writes them down: `[{"relation", "subject", "from", "to"}, …]`.
public struct EditList: Sendable {
  private struct Entry: Decodable {
    let relation: String
    let subject: String
    let from: String?
    let to: String
  }

  private let entries: [Entry]

  /// Reads a list.
  ///
  /// - Throws: `RelationError` when the file is missing, or not of the form above.
  public init(contentsOf path: String) throws(RelationError) {
    let url = URL(filePath: path)
    let layout = "[{\"relation\": name, \"subject\": …, \"from\": old answer (optional), \"to\": new answer}, …]"
    entries = try decode(
      [Entry].self, from: try contents(of: url, expected: layout), path: url.path, expected: layout)
  }

  /// The facts as the catalogue has them, with their new answers.
  ///
  /// - Throws: `RelationError` for a relation, subject or old answer that the catalogue lacks.
  public func changes(in catalogue: RelationCatalogue) throws(RelationError) -> [(fact: Fact, newAnswer: String)] {
    var relations: [String: Relation] = [:]
    var result: [(fact: Fact, newAnswer: String)] = []
    for entry in entries {
      let relation: Relation
      if let known = relations[entry.relation] {
        relation = known
      } else {
        relation = try catalogue.relation(named: entry.relation)
        relations[entry.relation] = relation
      }
      result.append((try relation.fact(subject: entry.subject, answer: entry.from), entry.to))
    }
    return result
  }
}
