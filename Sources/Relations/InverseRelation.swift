extension Relation {
  /// The relation that says the same the other way round, such as "is the capital of" to "the capital of … is"; it may
  /// be the relation itself, as for "borders".
  ///
  /// Found from the facts: the one that holds the most of this relation's facts turned round, if it holds at least a
  /// tenth of them and three.
  /// - Complexity: O(facts of the catalogue).
  /// - Throws: Where a relation's patterns are missing or malformed.
  public func inverse(in catalogue: RelationCatalogue) throws(RelationError) -> Relation? {
    struct Pair: Hashable {
      let subject: String
      let answer: String
    }
    let turned = Set(facts.map { Pair(subject: $0.answer, answer: $0.subject) })
    var best: (relation: Relation, count: Int)?
    for name in catalogue.names {
      let other = try catalogue.relation(named: name)
      let count = Set(other.facts.map { Pair(subject: $0.subject, answer: $0.answer) }).intersection(turned).count
      if count >= max(3, (turned.count + 9) / 10), count > best?.count ?? 0 { best = (other, count) }
    }
    return best?.relation
  }
}
