import Foundation

/// Facts and the answers they shall have, as a user writes them down: `[{"relation", "subject", "from", "to"}, …]`.
public struct EditList: Sendable {
  private struct Entry: Decodable {
    let relation: String
    let subject: String
    let from: String?
    let to: String

    private struct Key: CodingKey {
      let stringValue: String
      var intValue: Int? { nil }
      init(stringValue: String) { self.stringValue = stringValue }
      init?(intValue: Int) { nil }
    }

    /// Refuses keys that mean nothing, as a misspelt “from”.
    init(from decoder: any Decoder) throws {
      let fields = try decoder.container(keyedBy: Key.self)
      let known = ["relation", "subject", "from", "to"]
      if let other = fields.allKeys.map(\.stringValue).sorted().first(where: { !known.contains($0) }) {
        throw DecodingError.dataCorrupted(
          .init(codingPath: decoder.codingPath, debugDescription: "has a key \"\(other)\", which means nothing"))
      }
      func key(_ name: String) -> Key { Key(stringValue: name) }
      relation = try fields.decode(String.self, forKey: key("relation"))
      subject = try fields.decode(String.self, forKey: key("subject"))
      from = try fields.decodeIfPresent(String.self, forKey: key("from"))
      to = try fields.decode(String.self, forKey: key("to"))
    }
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
