/// Which relations have facts about which subjects.
public struct SubjectIndex: Sendable {
  private let relations: [String: Set<String>]

  /// The index of a catalogue.
  public init(_ catalogue: RelationCatalogue) {
    var relations: [String: Set<String>] = [:]
    for (name, pairs) in catalogue.pairs { for pair in pairs { relations[pair.subject, default: []].insert(name) } }
    self.relations = relations
  }

  /// The relations that have facts about a subject, in order of their names.
  public func relations(of subject: String) -> [String] { (relations[subject] ?? []).sorted() }
}
