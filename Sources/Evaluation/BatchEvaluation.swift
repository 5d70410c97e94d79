import BERT
import Editing
import Kernels

/// What an update of several facts did.
///
/// Its ``sideEffects`` are written among its figures.
public struct BatchEvaluation: EditFigures, Hashable, Encodable {
  /// One of the edits.
  public struct Row: Sendable, Hashable, Encodable {
    /// The relation's name.
    public let relation: String
    /// The fact's subject, old and new answer.
    public let subject, oldAnswer, newAnswer: String
    /// Share of the edit's prompts whose arg-max is the new answer.
    public let successRate: Double
    /// Share of the held-back prompts whose arg-max is the new answer; nil when none was held back.
    public let heldBackSuccessRate: Double?
  }

  /// Reliability: share of all edits' prompts whose arg-max is the new answer.
  public let successRate: Double
  /// Share of all edits' prompts whose arg-max is no longer the old answer.
  public let changeRate: Double
  /// Share of edits that hold on every prompt.
  public let holding: Double
  /// Generalization: share of held-back prompts whose arg-max is the new answer; nil when none was held back.
  public let heldBackSuccessRate: Double?
  /// What it did beyond the facts' prompts.
  public let sideEffects: SideEffects
  /// Value slots that changed.
  public let slots: Int
  /// ‖Δ‖, the norm of all changes together.
  public let changeNorm: Double
  /// The edits.
  public let edits: [Row]

  private enum CodingKeys: String, CodingKey { case edits }

  init(
    before: MaskedLanguageModel, after: MaskedLanguageModel, edits: [FactEdit], heldBack: [[String]],
    questions: EvaluationQuestions, change: ChangeSize, order: AnswerOrder, threads: ThreadCount
  ) throws {
    func wins(_ prompts: [[String]], _ answer: (FactEdit) -> String) throws -> [[Bool]] {
      let factors = try zip(edits, prompts).map { edit, prompts in
        try prompts.map { try before.factors($0, answer: answer(edit), order: order) }
      }
      var outcomes = after.outcomes(factors.flatMap { $0 }, threads: threads)[...]
      return prompts.map { own in
        defer { outcomes = outcomes.dropFirst(own.count) }
        return outcomes.prefix(own.count).map(\.isBest)
      }
    }
    func share(_ rows: [Bool]) -> Double { Double(rows.count { $0 }) / Double(max(1, rows.count)) }
    let prompts = edits.map(\.prompts)
    let new = try wins(prompts) { $0.newAnswer }
    let old = try wins(prompts) { $0.fact.answer }
    let held = try wins(heldBack) { $0.newAnswer }
    successRate = share(new.flatMap { $0 })
    changeRate = 1 - share(old.flatMap { $0 })
    holding = share(new.map { $0.allSatisfy { $0 } })
    heldBackSuccessRate = held.allSatisfy(\.isEmpty) ? nil : share(held.flatMap { $0 })
    sideEffects = try SideEffects(before: before, after: after, questions, order: order, threads: threads)
    (slots, changeNorm) = (change.slots, change.norm)
    self.edits = edits.indices.map { index in
      Row(
        relation: edits[index].fact.relation, subject: edits[index].fact.subject,
        oldAnswer: edits[index].fact.answer, newAnswer: edits[index].newAnswer, successRate: share(new[index]),
        heldBackSuccessRate: held[index].isEmpty ? nil : share(held[index]))
    }
  }

  /// All figures side by side.
  public func encode(to encoder: any Encoder) throws {
    try sideEffects.encode(to: encoder)
    try comparisons.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(edits, forKey: .edits)
  }

  /// What compares the two models on the facts' prompts, by the names that documents have for it.
  private var comparisons: [String: Double] {
    [
      "successRate": successRate, "changeRate": changeRate, "holding": holding,
      "heldBackSuccessRate": heldBackSuccessRate, "slots": Double(slots), "changeNorm": changeNorm,
    ].compactMapValues { $0 }
  }

  /// The figures that a record keeps, on the source: those of the side effects only.
  var recordedBefore: [String: Double] { sideEffects.recordedBefore }

  /// The same on the result, with those that compare the two.
  var recordedAfter: [String: Double] {
    sideEffects.recordedAfter.merging(comparisons) { first, _ in first }
  }
}
