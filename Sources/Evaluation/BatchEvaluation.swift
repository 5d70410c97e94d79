import BERT
import Editing
import Kernels

/// What an update of several facts did.
public struct BatchEvaluation: Sendable, Hashable, Encodable {
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
  /// Portability: share of the inverse relations' prompts about new answers whose arg-max is the subject; nil without.
  public let portability: Double?
  /// Perplexity over the prompts of other facts of the edited relations.
  public let intraPerplexityBefore, intraPerplexityAfter: Double
  /// Perplexity over the prompts of facts of other relations; of those there may be none, and then it is 1.
  public let interPerplexityBefore, interPerplexityAfter: Double
  /// Share of those prompts whose arg-max stayed what it was.
  public let intraKept, interKept: Double
  /// Mean KL divergence, in nats, of what is said now from what was said before, on those prompts.
  public let intraDivergence, interDivergence: Double
  /// The share and the divergence on prompts about the edited subject in other relations; nil where none has a fact
  /// about it.
  public let sameSubjectKept, sameSubjectDivergence: Double?
  /// Value slots that changed.
  public let slots: Int
  /// ‖Δ‖, the norm of all changes together.
  public let changeNorm: Double
  /// The edits.
  public let edits: [Row]

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
    portability =
      questions.inverse.isEmpty
      ? nil : try after.answerFigures(questions.inverse, order: order, threads: threads).accuracy
    let intra = try Locality(before: before, after: after, questions.intra, order: order, threads: threads)
    let inter = try Locality(before: before, after: after, questions.inter, order: order, threads: threads)
    (intraPerplexityBefore, intraPerplexityAfter) = (intra.perplexityBefore, intra.perplexityAfter)
    (interPerplexityBefore, interPerplexityAfter) = (inter.perplexityBefore, inter.perplexityAfter)
    (intraKept, interKept) = (intra.kept, inter.kept)
    (intraDivergence, interDivergence) = (intra.divergence, inter.divergence)
    let subjects =
      try questions.sameSubject.isEmpty
      ? nil : Locality(before: before, after: after, questions.sameSubject, order: order, threads: threads)
    (sameSubjectKept, sameSubjectDivergence) = (subjects?.kept, subjects?.divergence)
    (slots, changeNorm) = (change.slots, change.norm)
    self.edits = edits.indices.map { index in
      Row(
        relation: edits[index].fact.relation, subject: edits[index].fact.subject,
        oldAnswer: edits[index].fact.answer, newAnswer: edits[index].newAnswer, successRate: share(new[index]),
        heldBackSuccessRate: held[index].isEmpty ? nil : share(held[index]))
    }
  }

  /// The figures that a record keeps, on the source.
  var recordedBefore: [String: Double] {
    ["intraPerplexity": intraPerplexityBefore, "interPerplexity": interPerplexityBefore]
  }

  /// The same on the result, with the rates that compare the two.
  var recordedAfter: [String: Double] {
    var figures = [
      "intraPerplexity": intraPerplexityAfter, "interPerplexity": interPerplexityAfter, "changeRate": changeRate,
      "successRate": successRate, "holding": holding, "intraKept": intraKept, "interKept": interKept,
      "intraDivergence": intraDivergence, "interDivergence": interDivergence, "slots": Double(slots),
      "changeNorm": changeNorm,
    ]
    figures["heldBackSuccessRate"] = heldBackSuccessRate
    figures["portability"] = portability
    figures["sameSubjectKept"] = sameSubjectKept
    figures["sameSubjectDivergence"] = sameSubjectDivergence
    return figures
  }
}
