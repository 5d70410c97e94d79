/// What a model should say at a prompt's `[MASK]`, and how much that counts.
public struct OutputGoal: Sendable {
  /// What should be said.
  public enum Wanted: Sendable, Hashable {
    /// This word piece with at least that probability: the loss is ln(least) − ln P where P is less, else 0.
    case answer(Int, atLeast: Double)
    /// What the model says before anything changes: the loss is the Kullback-Leibler divergence from it.
    case unchanged
    /// The same, and this word piece as likely as before: the loss has ½ (ln P − ln P before)² besides, which sees what happens to
    /// an answer that the model hardly gives.
    case keeping(Int)
    /// This word piece with about that probability: the loss is |ln P − ln p|.
    case level(Int, at: Double)
    /// This word piece about as likely as these others, at least one, are on the whole: the loss is |ln P − mean of their ln P|.
    /// And all of them together with at least that probability of the whole vocabulary, where it is not 0: the loss has
    /// ln(together) − ln ΣP besides where ΣP is less.
    case amid(Int, others: [Int], together: Double = 0)
  }

  /// The prompt.
  public let prompt: EncodedPrompt
  /// What should be said there.
  public let wanted: Wanted
  /// Weight of the prompt's loss in the sum.
  public let weight: Double
  /// Whether the prompt asks something about a subject of which something else is edited.
  public let isAboutEditedSubject: Bool
  /// Of ``Wanted/keeping(_:)``, which relation the prompt is of, counted from 0, where the answers of one are held on the mean as
  /// well; see ``SlotObjective/evaluate(_:neighbourFactor:pulls:)``.
  public let relation: Int?

  /// Whether its loss is about the whole vocabulary.
  var looksAtAll: Bool { if case .amid(_, _, let together) = wanted { together > 0 } else { false } }

  /// Whether nothing should change there.
  public var wantsNoChange: Bool {
    switch wanted {
    case .unchanged, .keeping: true
    case .answer, .level, .amid: false
    }
  }

  /// Whether some word piece should be said there with at least some probability.
  public var wantsAnswer: Bool { if case .answer = wanted { true } else { false } }

  /// A goal for one prompt.
  public init(
    prompt: EncodedPrompt, wanted: Wanted, weight: Double, isAboutEditedSubject: Bool = false, relation: Int? = nil
  ) {
    self.prompt = prompt
    self.wanted = wanted
    self.weight = weight
    self.isAboutEditedSubject = isAboutEditedSubject
    self.relation = relation
  }
}
