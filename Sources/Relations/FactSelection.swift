import Foundation

/// Which facts of which relations to use, by their index in `facts.json`: `{relation: [index, …]}`.
public struct FactSelection: Sendable {
  /// The relations it names, in natural order.
  public let relationNames: [String]

  private let path: String
  private let indices: [String: [Int]]

  /// Reads a selection.
  ///
  /// - Throws: `RelationError` when the file is missing, unreadable, or not of the form above.
  public init(contentsOf url: URL) throws(RelationError) {
    let layout = "{relation: [index into facts.json, …]}"
    path = url.path
    indices = try decode(
      [String: [Int]].self, from: try contents(of: url, expected: layout), path: url.path, expected: layout)
    relationNames = indices.keys.sorted { NaturalOrder($0) < NaturalOrder($1) }
  }

  /// The selected facts of `relation`, in the selection's order; it may be named by its label.
  ///
  /// - Throws: `RelationError.indexOutOfRange` when it selects a fact that the relation does not have, and
  ///   `RelationError.notSelected` when it does not name the relation.
  public func facts(of relation: Relation) throws(RelationError) -> [Fact] {
    let names = [relation.name, relation.label].map { $0.lowercased() }
    let written =
      [relation.name, relation.label].first { indices[$0] != nil }
      ?? relationNames.first { names.contains($0.lowercased()) }
    guard let indices = written.flatMap({ indices[$0] }) else {
      throw .notSelected(relation: relation.name, present: relationNames, path: path)
    }
    var facts: [Fact] = []
    facts.reserveCapacity(indices.count)
    for index in indices {
      guard relation.facts.indices.contains(index) else {
        throw .indexOutOfRange(
          index: index, relation: relation.name, count: relation.facts.count, path: path)
      }
      facts.append(relation.facts[index])
    }
    return facts
  }
}
