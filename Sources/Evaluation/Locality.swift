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
    let old = try before.answerFigures(questions, order: order, threads: threads)
    let new = try after.answerFigures(questions, order: order, threads: threads)
    (perplexityBefore, perplexityAfter) = (old.perplexity, new.perplexity)
    kept = Double(zip(old.best, new.best).count { $0 == $1 }) / Double(max(1, questions.count))
    divergence = before.divergence(
      to: after,
      on: try questions.flatMap { try before.factors($0.prompt, answer: $0.answer, order: order) }.map(\.prompt),
      threads: threads)
  }
}
