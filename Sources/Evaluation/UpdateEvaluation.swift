import BERT
import Editing
import Kernels

/// What the model says to one prompt of an updated fact.
public struct PromptOutcome: Sendable, Hashable, Encodable {
  /// The prompt.
  public let prompt: String
  /// P(old answer) before and after.
  public let oldProbabilityBefore, oldProbabilityAfter: Double
  /// P(new answer) before and after.
  public let newProbabilityBefore, newProbabilityAfter: Double
  /// Rank of the new answer before and after, 1 the best; of several word pieces, the worst.
  public let newRankBefore, newRankAfter: Int
  /// The arg-max before, of as many word pieces as the old answer has, and after, of as many as the new one has.
  public let bestBefore, bestAfter: String
  /// Whether the old and the new answer come first after the edit.
  let oldWins, newWins: Bool

  private enum CodingKeys: String, CodingKey {
    case prompt, oldProbabilityBefore, oldProbabilityAfter, newProbabilityBefore, newProbabilityAfter, newRankBefore
    case newRankAfter, bestBefore, bestAfter
  }
}

/// What an update of one fact did (Dai et al 2022, table 6).
///
/// Its ``sideEffects`` are written among its figures.
public struct UpdateEvaluation: EditFigures, Hashable, Encodable {
  /// 1 when the edited prompt's arg-max is no longer the old answer, else 0.
  public let changeRate: Double
  /// 1 when the edited prompt's arg-max is the new answer, else 0.
  public let successRate: Double
  /// Share of the edit's prompts whose arg-max is no longer the old answer.
  public let paraphraseChangeRate: Double
  /// Share of the edit's prompts whose arg-max is the new answer.
  public let paraphraseSuccessRate: Double
  /// What it did beyond the fact's prompts.
  public let sideEffects: SideEffects
  /// Generalization: share of the held-back prompts whose arg-max is the new answer; nil when none was held back.
  public let heldBackSuccessRate: Double?
  /// Value slots that changed.
  public let slots: Int
  /// ‖Δ‖, the norm of all changes together.
  public let changeNorm: Double
  /// The edited prompt.
  public let edited: PromptOutcome
  /// All prompts of the edit.
  public let paraphrases: [PromptOutcome]
  /// The held-back prompts, which the edit has not seen.
  public let heldBack: [PromptOutcome]

  private enum CodingKeys: String, CodingKey { case edited, paraphrases, heldBack }

  /// Compares two models on the prompts of an edit, and on what it should leave alone.
  ///
  /// - Parameters:
  ///   - edit: The fact, its new answer and its prompts.
  ///   - editedPrompt: The prompt judged first.
  ///   - questions: What else is asked.
  ///   - change: The size of the edit.
  /// - Throws: `PromptError` or `ModelError` for a prompt or answer that the model before cannot take.
  public init(
    before: MaskedLanguageModel, after: MaskedLanguageModel, edit: FactEdit, editedPrompt: String,
    questions: EvaluationQuestions, change: ChangeSize, order: AnswerOrder = .leftToRight,
    threads: ThreadCount = .allCores
  ) throws {
    let all = [editedPrompt] + edit.prompts + questions.heldBack.map(\.prompt)
    let olds = try all.map { try before.factors($0, answer: edit.fact.answer, order: order) }
    let news = try all.map { try before.factors($0, answer: edit.newAnswer, order: order) }
    let encoded = try all.map { try before.encode($0) }
    func outcomes(_ model: MaskedLanguageModel, _ count: Int) -> (
      old: [AnswerOutcome], new: [AnswerOutcome], said: [String]
    ) {
      let both = model.outcomes(olds + news, threads: threads)
      let (old, new) = (Array(both.prefix(all.count)), Array(both.suffix(all.count)))
      if count > 1 { return (old, new, model.decode(encoded, pieces: count, order: order, threads: threads)) }
      return (old, new, (olds[0].count == 1 ? old : new).map { model.text($0.best) })
    }
    let (first, second) = (outcomes(before, olds[0].count), outcomes(after, news[0].count))
    let rows = all.indices.map { index in
      PromptOutcome(
        prompt: all[index], oldProbabilityBefore: first.old[index].probability,
        oldProbabilityAfter: second.old[index].probability, newProbabilityBefore: first.new[index].probability,
        newProbabilityAfter: second.new[index].probability, newRankBefore: first.new[index].rank,
        newRankAfter: second.new[index].rank, bestBefore: first.said[index], bestAfter: second.said[index],
        oldWins: second.old[index].isBest, newWins: second.new[index].isBest)
    }
    edited = rows[0]
    paraphrases = Array(rows.dropFirst().prefix(edit.prompts.count))
    heldBack = Array(rows.dropFirst(1 + edit.prompts.count))
    func share(_ rows: [PromptOutcome], _ holds: (PromptOutcome) -> Bool) -> Double {
      Double(rows.count(where: holds)) / Double(max(1, rows.count))
    }
    changeRate = edited.oldWins ? 0 : 1
    successRate = edited.newWins ? 1 : 0
    paraphraseChangeRate = share(paraphrases) { !$0.oldWins }
    paraphraseSuccessRate = share(paraphrases) { $0.newWins }
    heldBackSuccessRate = heldBack.isEmpty ? nil : share(heldBack) { $0.newWins }
    sideEffects = try SideEffects(before: before, after: after, questions, order: order, threads: threads)
    (slots, changeNorm) = (change.slots, change.norm)
  }

  /// All figures side by side.
  public func encode(to encoder: any Encoder) throws {
    try sideEffects.encode(to: encoder)
    try comparisons.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(edited, forKey: .edited)
    try container.encode(paraphrases, forKey: .paraphrases)
    try container.encode(heldBack, forKey: .heldBack)
  }

  var details: [String: [Double]] {
    [
      "probability": (paraphrases + heldBack).flatMap {
        [$0.oldProbabilityBefore, $0.oldProbabilityAfter, $0.newProbabilityBefore, $0.newProbabilityAfter]
      }
    ]
  }

  /// What compares the two models on the fact's prompts, by the names that documents have for it.
  private var comparisons: [String: Double] {
    [
      "changeRate": changeRate, "successRate": successRate, "paraphraseChangeRate": paraphraseChangeRate,
      "paraphraseSuccessRate": paraphraseSuccessRate, "heldBackSuccessRate": heldBackSuccessRate,
      "slots": Double(slots), "changeNorm": changeNorm,
    ].compactMapValues { $0 }
  }

  /// The figures that a record keeps, on the source.
  var recordedBefore: [String: Double] {
    var figures = sideEffects.recordedBefore
    figures["oldProbability"] = edited.oldProbabilityBefore
    figures["newProbability"] = edited.newProbabilityBefore
    figures["newRank"] = Double(edited.newRankBefore)
    return figures
  }

  /// The same on the result, with those that compare the two.
  var recordedAfter: [String: Double] {
    var figures = sideEffects.recordedAfter
    figures["oldProbability"] = edited.oldProbabilityAfter
    figures["newProbability"] = edited.newProbabilityAfter
    figures["newRank"] = Double(edited.newRankAfter)
    return figures.merging(comparisons) { first, _ in first }
  }
}
