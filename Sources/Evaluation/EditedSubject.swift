import Editing
import Relations

/// A subject of which something is edited.
struct EditedSubject: Sendable {
  /// The subject.
  let name: String
  /// The relations that have facts about it and in which it stays as it is.
  let otherRelations: [String]
  /// The relations that have none about it.
  let unlistedRelations: [String]

  /// The subjects of some edits, in the order in which they come.
  static func all(of edits: [FactEdit], in catalogue: RelationCatalogue) -> [EditedSubject] {
    let index = SubjectIndex(catalogue)
    let edited = Dictionary(grouping: edits.map(\.fact), by: \.subject)
    var seen: Set<String> = []
    return edits.map(\.fact.subject).filter { seen.insert($0).inserted }.map { name in
      let relations = Set((edited[name] ?? []).map(\.relation))
      let known = index.relations(of: name)
      return EditedSubject(
        name: name, otherRelations: known.filter { !relations.contains($0) },
        unlistedRelations: catalogue.names.filter { !known.contains($0) && !relations.contains($0) })
    }
  }
}
