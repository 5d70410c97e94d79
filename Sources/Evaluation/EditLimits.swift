/// What an edit must reach to be written.
public struct EditLimits: Sendable, Hashable {
  /// The least share of the edit's prompts whose first answer is the new one.
  public var success = 1.0
  /// The least share of judged prompts on other facts, of the relation and of others, whose first answer stays.
  public var kept = 0.9

  /// The defaults.
  public init() {}

  /// What falls short, in words; nil when the edit holds.
  func shortfall(success reached: Double, intraKept: Double, interKept: Double) -> String? {
    func percent(_ value: Double) -> String { "\(Int((100 * value).rounded(.down))) %" }
    var parts: [String] = []
    if reached < success - 1e-9 {
      parts.append("the new answer comes first on \(percent(reached)) of the prompts, not \(percent(success))")
    }
    for (kept, where_) in [(intraKept, "the relation's other facts"), (interKept, "other relations")]
    where kept < self.kept - 1e-9 {
      parts.append("the first answer stays on \(percent(kept)) of the prompts on \(where_), not \(percent(self.kept))")
    }
    return parts.isEmpty ? nil : parts.joined(separator: ", and ")
  }
}
