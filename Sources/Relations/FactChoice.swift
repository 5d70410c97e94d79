extension Relation {
  /// The facts that a user asks for.
  ///
  /// - Parameters:
  ///   - subjects: Heads; empty for all.
  ///   - selection: A selection file, or nil for all facts.
  ///   - limit: How many at most, from the first on.
  /// - Throws: ``RelationError`` for a head that no fact has, or a selection that does not fit.
  public func choose(subjects: [String], selection: FactSelection?, limit: Int?) throws(RelationError) -> [Fact] {
    var chosen = try selection?.facts(of: self) ?? facts
    if !subjects.isEmpty {
      for subject in subjects where facts(ofSubject: subject).isEmpty {
        _ = try fact(subject: subject, answer: nil)
      }
      chosen = chosen.filter { subjects.contains($0.subject) }
    }
    return limit.map { Array(chosen.prefix($0)) } ?? chosen
  }
}
