import Relations

/// What the prompts of a fact ask about, whatever the answer: subjects may have several in a relation.
struct Topic: Sendable, Hashable {
  /// The relation's name.
  let relation: String
  /// The subject.
  let subject: String
}

extension Fact {
  /// What its prompts ask about.
  var topic: Topic { Topic(relation: relation, subject: subject) }
}
