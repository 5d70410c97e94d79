/// One fact: of `subject`, `relation` holds with `answer`.
public struct Fact: Sendable, Hashable, Codable {
  /// The relation's name, such as `P36`.
  public var relation: String
  /// What the fact is about; it fills `[X]`.
  public var subject: String
  /// What the model should say; it belongs at `[Y]`.
  public var answer: String

  /// States a fact.
  public init(relation: String, subject: String, answer: String) {
    self.relation = relation
    self.subject = subject
    self.answer = answer
  }
}
