import Editing
import Relations

/// A subject of which something is edited.
struct EditedSubject {
  /// The subject.
  let name: String
  /// The relations in which it is edited.
  private(set) var relations: Set<String>

  /// The subjects of some edits, in the order in which they come.
  static func all(of edits: [FactEdit]) -> [EditedSubject] {
    var result: [EditedSubject] = []
    var positions: [String: Int] = [:]
    for fact in edits.map(\.fact) {
      if let position = positions[fact.subject] {
        result[position].relations.insert(fact.relation)
      } else {
        positions[fact.subject] = result.count
        result.append(EditedSubject(name: fact.subject, relations: [fact.relation]))
      }
    }
    return result
  }

  /// The relations that have facts about it and in which it stays as it is.
  func otherRelations(_ index: SubjectIndex) -> [String] {
    index.relations(of: name).filter { !relations.contains($0) }
  }
}
