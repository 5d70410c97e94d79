import BERT
import Kernels

/// How far an edit moved what the model says where it should have stayed.
struct Locality: Sendable, Hashable {
  /// Perplexity over the questions.
  let perplexityBefore, perplexityAfter: Double
  /// Share of questions whose arg-max stayed what it was.
  let kept: Double
  /// Mean KL divergence, in nats, of what is said after from what was said before.
  let divergence: Double

  init(
    before: MaskedLanguageModel, after: MaskedLanguageModel, _ questions: [Question], order: AnswerOrder,
    threads: ThreadCount
  ) throws {
    let factors = try questions.map { try before.factors($0.prompt, answer: $0.answer, order: order) }
    let (old, logs) = before.outcomesAndDistributions(factors, threads: threads)
    let (new, divergences) = after.outcomesAndDivergences(factors, from: logs, threads: threads)
    (perplexityBefore, perplexityAfter) = (old.perplexity, new.perplexity)
    kept = Double(zip(old, new).count { $0.best == $1.best }) / Double(max(1, questions.count))
    divergence = max(0, divergences.reduce(0, +) / Double(max(1, divergences.count)))
  }
}
