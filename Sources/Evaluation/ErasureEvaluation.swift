import BERT
import Kernels

/// What erasing a relation did (Dai et al 2022, table 5).
public struct ErasureEvaluation: EditFigures, Hashable, Encodable {
  /// Share of the relation's prompts whose arg-max is another than before.
  public let changeRate: Double
  /// Share of the relation's prompts that were right before and are wrong now, of those right before; nil where none was.
  public let successRate: Double?
  /// The same as ``successRate``: an erasure is judged on every wording that it was given from the start.
  public let paraphraseSuccessRate: Double?
  /// Perplexity over the relation's prompts.
  public let intraPerplexityBefore, intraPerplexityAfter: Double
  /// Perplexity over other relations' prompts; nil where there are none.
  public let interPerplexityBefore, interPerplexityAfter: Double?
  /// The same over those that were right before: what the model only guesses moves easily, and is no knowledge lost.
  public let interPerplexityBeforeOfRight, interPerplexityAfterOfRight: Double?
  /// Share of the relation's prompts whose arg-max is the answer.
  public let intraAccuracyBefore, intraAccuracyAfter: Double
  /// The median rank of the relation's answers among each other, 1 the likeliest, by their first word pieces; nil where
  /// nothing was asked.
  ///
  /// Who knows what a relation's answers look like can still read off a fact whose answer is the likeliest of them, whatever the
  /// model says first. About half of ``answerCount`` is what is left to chance.
  public let intraRankBefore, intraRankAfter: Double?
  /// How many different answers that is, of the facts erased or, where its other facts were to stay, of all the relation.
  public let answerCount: Int
  /// Generalization: the relation in wordings that the erasure has not seen; nil when none was held back.
  public let heldBack: HeldBack?
  /// Share of other relations' prompts whose arg-max is the answer; nil where there are none.
  public let interAccuracyBefore, interAccuracyAfter: Double?
  /// The perplexity of each other relation, and where the erased one's other facts were to stay, of these by its name.
  public let relations: [RelationPerplexity]
  /// Of ``relations``, the erased one's other facts; nil where they were not to stay, or there are none.
  public let otherFacts: RelationPerplexity?
  /// Value slots that changed.
  public let slots: Int
  /// ‖Δ‖, the norm of all changes together.
  public let changeNorm: Double

  /// How well the relation is still known in wordings that were held back.
  public struct HeldBack: Sendable, Hashable, Codable {
    /// Share of the prompts that were right before and are wrong now, of those right before; nil where none was.
    public let successRate: Double?
    /// Perplexity over the prompts.
    public let perplexityBefore, perplexityAfter: Double
    /// Share of the prompts whose arg-max is the answer.
    public let accuracyBefore, accuracyAfter: Double
    /// The median rank of the answers among each other, as ``intraRankBefore``.
    public let rankBefore, rankAfter: Double?

    init?(before: [AnswerOutcome], after: [AnswerOutcome]) {
      guard !before.isEmpty else { return nil }
      successRate = before.forgotten(after)
      (perplexityBefore, perplexityAfter) = (before.perplexity, after.perplexity)
      (accuracyBefore, accuracyAfter) = (before.accuracy, after.accuracy)
      (rankBefore, rankAfter) = (before.medianRankAmong, after.medianRankAmong)
    }
  }

  /// How well another relation is still known.
  public struct RelationPerplexity: Sendable, Hashable, Codable {
    /// The relation's name.
    public let relation: String
    /// Perplexity over its prompts.
    public let before, after: Double
    /// Perplexity over those that were right before; nil where there are none.
    public let beforeOfRight, afterOfRight: Double?
    /// Share of its prompts whose arg-max is the answer.
    public let accuracyBefore, accuracyAfter: Double
    /// The rise, as a share of what it was.
    var rise: Double { after / before - 1 }
    /// The same of those that were right before.
    var riseOfRight: Double? { beforeOfRight.flatMap { before in afterOfRight.map { $0 / before - 1 } } }
  }

  private var otherRelations: [RelationPerplexity] { relations.filter { $0 != otherFacts } }

  /// The other relation whose perplexity rose most; nil without other relations.
  public var mostDisturbed: RelationPerplexity? { otherRelations.max { $0.rise < $1.rise } }
  /// The largest rise of another relation's perplexity, as a share of what it was; nil without other relations.
  public var largestRise: Double? { mostDisturbed?.rise }

  /// The same, by those of its prompts that were right before.
  public var mostDisturbedOfRight: (relation: String, rise: Double)? {
    otherRelations.compactMap { one in one.riseOfRight.map { (one.relation, $0) } }.max { $0.1 < $1.1 }
  }

  var details: [String: [Double]] {
    ["relations": relations.flatMap { [$0.before, $0.after, $0.beforeOfRight, $0.afterOfRight].compactMap { $0 } }]
  }

  /// The figures that a record keeps, on the source.
  var recordedBefore: [String: Double] {
    [
      "intraPerplexity": intraPerplexityBefore, "interPerplexity": interPerplexityBefore,
      "intraAccuracy": intraAccuracyBefore, "intraRank": intraRankBefore, "interAccuracy": interAccuracyBefore,
      "interPerplexityOfRight": interPerplexityBeforeOfRight, "heldBackPerplexity": heldBack?.perplexityBefore,
      "heldBackAccuracy": heldBack?.accuracyBefore, "heldBackRank": heldBack?.rankBefore,
    ].compactMapValues { $0 }
  }

  /// The same on the result, with those that compare the two.
  var recordedAfter: [String: Double] {
    [
      "intraPerplexity": intraPerplexityAfter, "interPerplexity": interPerplexityAfter,
      "intraAccuracy": intraAccuracyAfter, "intraRank": intraRankAfter, "interAccuracy": interAccuracyAfter,
      "interPerplexityOfRight": interPerplexityAfterOfRight, "largestRise": largestRise,
      "largestRiseOfRight": mostDisturbedOfRight?.rise,
      "heldBackPerplexity": heldBack?.perplexityAfter, "heldBackAccuracy": heldBack?.accuracyAfter,
      "heldBackRank": heldBack?.rankAfter, "heldBackSuccessRate": heldBack?.successRate,
      "successRate": successRate, "changeRate": changeRate, "answerCount": Double(answerCount), "slots": Double(slots),
      "changeNorm": changeNorm,
    ].compactMapValues { $0 }
  }

  /// Compares two models on the relation's questions and on those of other relations.
  ///
  /// - Throws: `PromptError` or `ModelError` for a question that the model before cannot take.
  public init(
    before: MaskedLanguageModel, after: MaskedLanguageModel, questions: EvaluationQuestions, change: ChangeSize,
    order: AnswerOrder = .leftToRight, threads: ThreadCount = .allCores
  ) throws {
    func targets(_ questions: [Question]) throws -> [[AttributionTarget]] {
      try questions.map { try before.factors($0.prompt, answer: $0.answer, order: order) }
    }
    let (intra, inter) = (try targets(questions.intra), try targets(questions.inter))
    let unseen = try targets(questions.heldBack)
    let answers =
      questions.answers.isEmpty ? Set(intra.compactMap { $0.first?.answer }).sorted() : questions.answers
    answerCount = answers.count
    let (own, ownAfter) = (
      before.outcomes(intra, among: answers, threads: threads), after.outcomes(intra, among: answers, threads: threads)
    )
    let (other, otherAfter) = (before.outcomes(inter, threads: threads), after.outcomes(inter, threads: threads))
    (intraRankBefore, intraRankAfter) = (own.medianRankAmong, ownAfter.medianRankAmong)
    changeRate = Double(zip(own, ownAfter).count { $0.best != $1.best }) / Double(max(1, own.count))
    successRate = own.forgotten(ownAfter)
    paraphraseSuccessRate = successRate
    (intraPerplexityBefore, intraPerplexityAfter) = (own.perplexity, ownAfter.perplexity)
    heldBack = HeldBack(
      before: before.outcomes(unseen, among: answers, threads: threads),
      after: after.outcomes(unseen, among: answers, threads: threads))
    // Other facts of the same relation are none of another's; they are told apart.
    let kept = questions.interRelations.first { $0.name == questions.keptPart }?.range
    let elsewhere = other.indices.filter { kept?.contains($0) != true }
    let others =
      elsewhere.isEmpty ? nil : (before: elsewhere.map { other[$0] }, after: elsewhere.map { otherAfter[$0] })
    (interPerplexityBefore, interPerplexityAfter) = (others?.before.perplexity, others?.after.perplexity)
    (intraAccuracyBefore, intraAccuracyAfter) = (own.accuracy, ownAfter.accuracy)
    (interAccuracyBefore, interAccuracyAfter) = (others?.before.accuracy, others?.after.accuracy)
    /// Perplexities over those of `positions` that were right before.
    func ofRight(_ positions: some Sequence<Int>) -> (before: Double, after: Double)? {
      let right = positions.filter { other[$0].isBest }
      return right.isEmpty ? nil : (right.map { other[$0] }.perplexity, right.map { otherAfter[$0] }.perplexity)
    }
    let allOfRight = ofRight(elsewhere)
    (interPerplexityBeforeOfRight, interPerplexityAfterOfRight) = (allOfRight?.before, allOfRight?.after)
    relations = questions.interRelations.map { name, range in
      let right = ofRight(range)
      return RelationPerplexity(
        relation: name, before: other[range].perplexity, after: otherAfter[range].perplexity,
        beforeOfRight: right?.before, afterOfRight: right?.after, accuracyBefore: other[range].accuracy,
        accuracyAfter: otherAfter[range].accuracy)
    }
    otherFacts = relations.first { $0.relation == questions.keptPart }
    (slots, changeNorm) = (change.slots, change.norm)
  }
}
