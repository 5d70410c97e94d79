import BERT
import Kernels
import Relations

/// How well a model knows a relation, and where it was edited, how well it does then.
public struct RelationKnowledge: Sendable, Hashable, Encodable {
  /// The relation's name.
  public let relation: String
  /// How many of its facts were asked, and by how many prompts.
  public let facts, prompts: Int
  /// How many prompts were not asked besides, since the edit is to forget them, see ``init(of:facts:in:edited:leavingOut:order:threads:)``.
  public let leftOut: Int
  /// How many different answers these facts have.
  public let answerCount: Int
  /// Of the model.
  public let before: Figures
  /// Of the edited one; nil where only one model was asked.
  public let after: Figures?
  /// Perplexity over the prompts that were right before; nil where there are none, or only one model was asked.
  public let beforeOfRight, afterOfRight: Double?
  /// Share of the prompts right before that are right no longer; nil where there are none, or only one model was asked.
  public let lost: Double?

  /// What one model makes of a relation's prompts.
  public struct Figures: Sendable, Hashable, Encodable {
    /// exp of the mean of −ln P(answer).
    public let perplexity: Double
    /// Share of prompts whose arg-max is the answer.
    public let accuracy: Double
    /// The median rank of the right answer among those of the facts, 1 the likeliest, by their first word pieces.
    public let rank: Double
    /// The mean of what these answers have of P together, by their first word pieces.
    public let together: Double
    /// What is said most often, at most ``RelationKnowledge/mostSaid`` answers.
    public let said: [Said]
  }

  /// An answer that is said.
  public struct Said: Sendable, Hashable, Encodable {
    /// The arg-max, its word pieces put together.
    public let answer: String
    /// The share of prompts on which it is said.
    public let share: Double
  }

  /// How many answers ``Figures/said`` lists.
  public static let mostSaid = 3

  /// The rise of the perplexity, as a share of what it was; nil where only one model was asked.
  public var rise: Double? { after.map { $0.perplexity / before.perplexity - 1 } }

  /// The same over the prompts that were right before.
  public var riseOfRight: Double? { beforeOfRight.flatMap { before in afterOfRight.map { $0 / before - 1 } } }

  /// Asks every template of `relation` about `facts`, of which there must be one at least.
  ///
  /// - Parameters:
  ///   - edited: The same model after an edit, or any other to compare with.
  ///   - forgotten: Prompts that are not asked, unless they are all there is: those that an erasure of another relation is to
  ///     forget, ``Editing/EditRecord/forgottenPrompts(in:)``.
  ///   - order: How answers of several word pieces are asked for.
  /// - Throws: `PromptError` or `ModelError` for a prompt or answer that a model cannot take, and `ModelError.notFinite` where
  ///   a model says what is no number.
  public init(
    of relation: Relation, facts: [Fact], in model: MaskedLanguageModel, edited: MaskedLanguageModel? = nil,
    leavingOut forgotten: Set<Wording> = [], order: AnswerOrder = .leftToRight, threads: ThreadCount = .allCores
  ) throws {
    precondition(!facts.isEmpty)
    let all = facts.flatMap { fact in relation.prompts(for: fact).map { (prompt: $0, answer: fact.answer) } }
    let others = forgotten.isEmpty ? all : all.filter { !forgotten.contains(model.wording($0.prompt)) }
    let asked = others.isEmpty ? all : others
    var answerCount = 0
    func outcomes(_ model: MaskedLanguageModel) throws -> [AnswerOutcome] {
      let targets = try asked.map { try model.factors($0.prompt, answer: $0.answer, order: order) }
      let answers = Set(targets.compactMap { $0.first?.answer }).sorted()
      answerCount = max(answerCount, answers.count)
      let found = model.outcomes(targets, among: answers, threads: threads)
      guard found.perplexity.isFinite, found.allSatisfy(\.logProbability.isFinite) else { throw ModelError.notFinite }
      return found
    }
    let own = try outcomes(model)
    let now = try edited.map(outcomes)
    self.relation = relation.name
    (self.facts, prompts, self.answerCount) = (facts.count, own.count, answerCount)
    leftOut = all.count - asked.count
    before = Figures(own, in: model)
    after = now.map { Figures($0, in: edited ?? model) }
    let right = own.indices.filter { own[$0].isBest }
    guard let now, !right.isEmpty else {
      (beforeOfRight, afterOfRight, lost) = (nil, nil, nil)
      return
    }
    (beforeOfRight, afterOfRight) = (right.map { own[$0] }.perplexity, right.map { now[$0] }.perplexity)
    lost = Double(right.count { !now[$0].isBest }) / Double(right.count)
  }

  private enum CodingKeys: String, CodingKey {
    case relation, facts, prompts, leftOut, answerCount, before, after, rise, beforeOfRight, afterOfRight, riseOfRight,
      lost
  }

  /// All of it, with the rises.
  public func encode(to encoder: any Encoder) throws {
    var fields = encoder.container(keyedBy: CodingKeys.self)
    try fields.encode(relation, forKey: .relation)
    try fields.encode(facts, forKey: .facts)
    try fields.encode(prompts, forKey: .prompts)
    try fields.encode(leftOut, forKey: .leftOut)
    try fields.encode(answerCount, forKey: .answerCount)
    try fields.encode(before, forKey: .before)
    try fields.encodeIfPresent(after, forKey: .after)
    try fields.encodeIfPresent(rise, forKey: .rise)
    try fields.encodeIfPresent(beforeOfRight, forKey: .beforeOfRight)
    try fields.encodeIfPresent(afterOfRight, forKey: .afterOfRight)
    try fields.encodeIfPresent(riseOfRight, forKey: .riseOfRight)
    try fields.encodeIfPresent(lost, forKey: .lost)
  }
}

extension RelationKnowledge.Figures {
  fileprivate init(_ outcomes: [AnswerOutcome], in model: MaskedLanguageModel) {
    perplexity = outcomes.perplexity
    accuracy = outcomes.accuracy
    rank = outcomes.medianRankAmong ?? 1
    together = outcomes.reduce(0) { $0 + $1.together } / Double(max(1, outcomes.count))
    let counts = Dictionary(grouping: outcomes, by: \.best).mapValues(\.count)
    // Of what is said equally often, the same comes first every time.
    let often = counts.sorted { a, b in
      a.value == b.value ? a.key.lexicographicallyPrecedes(b.key) : a.value > b.value
    }
    said = often.prefix(RelationKnowledge.mostSaid).map { best, count in
      RelationKnowledge.Said(answer: model.text(best), share: Double(count) / Double(max(1, outcomes.count)))
    }
  }
}
