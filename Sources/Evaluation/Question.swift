/// A prompt with the answer expected at its `[MASK]`.
public struct Question: Sendable, Hashable {
  /// The prompt.
  public let prompt: String
  /// The answer.
  public let answer: String

  /// Asks for `answer` at the `[MASK]` of `prompt`.
  public init(prompt: String, answer: String) {
    self.prompt = prompt
    self.answer = answer
  }
}
