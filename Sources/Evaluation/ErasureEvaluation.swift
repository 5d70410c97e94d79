import BERT
import Kernels

/// What erasing a relation did (Dai et al 2022, table 5).
public struct ErasureEvaluation: Sendable, Hashable, Codable {
  /// Share of the relation's prompts whose arg-max is another than before.
  public let changeRate: Double
  /// Share of the relation's prompts that were right before and are wrong now, of those right before.
  public let successRate: Double
  /// The same as ``successRate``: an erasure is judged on every wording from the start.
  public let paraphraseSuccessRate: Double
  /// Perplexity over the relation's prompts.
  public let intraPerplexityBefore, intraPerplexityAfter: Double
  /// Perplexity over other relations' prompts.
  public let interPerplexityBefore, interPerplexityAfter: Double
  /// Share of the relation's prompts whose arg-max is the answer.
  public let intraAccuracyBefore, intraAccuracyAfter: Double
  /// Share of other relations' prompts whose arg-max is the answer.
  public let interAccuracyBefore, interAccuracyAfter: Double

  /// Compares two models on the relation's questions and on those of other relations.
  public init(
    before: MaskedLanguageModel, after: MaskedLanguageModel, intra: [Question], inter: [Question],
    threads: ThreadCount = .allCores
  ) throws {
    let (own, ownAfter) = (
      try before.answerFigures(intra, threads: threads), try after.answerFigures(intra, threads: threads)
    )
    let (other, otherAfter) = (
      try before.answerFigures(inter, threads: threads), try after.answerFigures(inter, threads: threads)
    )
    let answers = try intra.map { try before.answer($0.answer) }
    let right = answers.indices.filter { own.best[$0] == answers[$0] }
    changeRate = Double(zip(own.best, ownAfter.best).count { $0 != $1 }) / Double(max(1, answers.count))
    successRate = Double(right.count { ownAfter.best[$0] != answers[$0] }) / Double(max(1, right.count))
    paraphraseSuccessRate = successRate
    (intraPerplexityBefore, intraPerplexityAfter) = (own.perplexity, ownAfter.perplexity)
    (interPerplexityBefore, interPerplexityAfter) = (other.perplexity, otherAfter.perplexity)
    (intraAccuracyBefore, intraAccuracyAfter) = (own.accuracy, ownAfter.accuracy)
    (interAccuracyBefore, interAccuracyAfter) = (other.accuracy, otherAfter.accuracy)
  }
}
