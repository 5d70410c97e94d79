import Relations

/// A fact, the answer it shall have, and the prompts it is edited on.
public struct FactEdit: Sendable, Hashable, Codable {
  /// The fact as it is.
  public var fact: Fact
  /// The answer it shall have.
  public var newAnswer: String
  /// The prompts of the edit.
  public var prompts: [String]

  /// Gives `fact` another answer on `prompts`.
  public init(fact: Fact, newAnswer: String, prompts: [String]) {
    self.fact = fact
    self.newAnswer = newAnswer
    self.prompts = prompts
  }
}
