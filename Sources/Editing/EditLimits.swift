/// What an edit must reach to be written.
public struct EditLimits: Sendable, Hashable, Codable {
  /// Of an update, the least share of its prompts whose first answer is the new one; of an erasure, the least share of the
  /// relation's prompts that were right before and are wrong now.
  public var success: Double
  /// The least share of judged prompts on other facts, of the relation and of others, whose first answer stays, of those
  /// that were right before where there are any; of an erasure, of the other relations' accuracy, and of that on the relation's other facts where these
  /// shall stay.
  public var kept: Double

  /// What an update must reach.
  public static let update = EditLimits(success: 1, kept: 0.9)
  /// What an erasure must reach.
  public static let erasure = EditLimits(success: 0.8, kept: 0.9)

  /// Limits.
  public init(success: Double, kept: Double) {
    self.success = success
    self.kept = kept
  }
}
