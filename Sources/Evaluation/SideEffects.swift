import BERT
import Kernels

/// What an update did beyond its own prompts.
public struct SideEffects: Sendable, Hashable, Encodable {
  /// Perplexity over the prompts of other facts of the edited relations.
  public let intraPerplexityBefore, intraPerplexityAfter: Double
  /// Perplexity over the prompts of facts of other relations; of those there may be none, and then it is 1.
  public let interPerplexityBefore, interPerplexityAfter: Double
  /// Locality: share of those prompts whose arg-max stayed what it was.
  public let intraKept, interKept: Double
  /// Mean KL divergence, in nats, of what is said now from what was said before, on those prompts.
  public let intraDivergence, interDivergence: Double
  /// The same two on prompts about edited subjects in other relations; nil where none has a fact about them.
  public let sameSubjectKept, sameSubjectDivergence: Double?
  /// Portability: share of the inverse relations' prompts about new answers whose arg-max is the subject; nil without an
  /// inverse relation.
  public let portability: Double?

  init(
    before: MaskedLanguageModel, after: MaskedLanguageModel, _ questions: EvaluationQuestions, order: AnswerOrder,
    threads: ThreadCount
  ) throws {
    func locality(_ questions: [Question]) throws -> Locality {
      try Locality(before: before, after: after, questions, order: order, threads: threads)
    }
    let (intra, inter) = (try locality(questions.intra), try locality(questions.inter))
    let sameSubject = questions.sameSubject.isEmpty ? nil : try locality(questions.sameSubject)
    (intraPerplexityBefore, intraPerplexityAfter) = (intra.perplexityBefore, intra.perplexityAfter)
    (interPerplexityBefore, interPerplexityAfter) = (inter.perplexityBefore, inter.perplexityAfter)
    (intraKept, interKept) = (intra.kept, inter.kept)
    (intraDivergence, interDivergence) = (intra.divergence, inter.divergence)
    (sameSubjectKept, sameSubjectDivergence) = (sameSubject?.kept, sameSubject?.divergence)
    portability =
      questions.inverse.isEmpty
      ? nil : try after.answerFigures(questions.inverse, order: order, threads: threads).accuracy
  }

  /// The figures that a record keeps, on the source.
  var recordedBefore: [String: Double] {
    ["intraPerplexity": intraPerplexityBefore, "interPerplexity": interPerplexityBefore]
  }

  /// The same on the result, with those that compare the two.
  var recordedAfter: [String: Double] {
    var figures = [
      "intraPerplexity": intraPerplexityAfter, "interPerplexity": interPerplexityAfter, "intraKept": intraKept,
      "interKept": interKept, "intraDivergence": intraDivergence, "interDivergence": interDivergence,
    ]
    figures["sameSubjectKept"] = sameSubjectKept
    figures["sameSubjectDivergence"] = sameSubjectDivergence
    figures["portability"] = portability
    return figures
  }
}
