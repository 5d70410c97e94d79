/// Why a text cannot be a prompt.
public enum PromptError: Error, Sendable, Hashable, CustomStringConvertible {
  /// The text holds no `[MASK]`.
  case noMask(String)
  /// The text holds that many `[MASK]`.
  case severalMasks(String, Int)
  /// The text has that many pieces, more than the model's positions.
  case tooLong(String, Int, Int)

  /// One sentence for people.
  public var description: String {
    switch self {
    case .noMask(let text):
      "The prompt “\(abridged(text))” has no [MASK]; put one [MASK] where the answer belongs."
    case .severalMasks(let text, let count):
      "The prompt “\(abridged(text))” has \(count) [MASK]s; exactly one is needed."
    case .tooLong(let text, let count, let limit):
      "The prompt “\(abridged(text))” has \(count) word pieces; this model takes at most \(limit): shorten it."
    }
  }

  private func abridged(_ text: String) -> String { text.count > 80 ? text.prefix(77) + "…" : text }
}
