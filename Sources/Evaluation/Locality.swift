import BERT
import Kernels

/// How far an edit moved what the model says where it should have stayed.
public struct Locality: Sendable, Hashable {
  /// Perplexity over the questions.
  public let perplexityBefore, perplexityAfter: Double
  /// Share of questions whose arg-max stayed what it was.
  public let kept: Double
  /// The same of those that the model answered rightly before; nil where there is none.
  public let keptOfRight: Double?
  /// Mean KL divergence, in nats, of what is said after from what was said before.
  public let divergence: Double

  /// Compares two models on questions; nil where there are none.
  init?(
    before: MaskedLanguageModel, after: MaskedLanguageModel, _ questions: [Question], order: AnswerOrder,
    threads: ThreadCount
  ) throws {
    guard !questions.isEmpty else { return nil }
    let factors = try questions.map { try before.factors($0.prompt, answer: $0.answer, order: order) }
    let (old, logs) = before.outcomesAndDistributions(factors, threads: threads)
    let (new, divergences) = after.outcomesAndDivergences(factors, from: logs, threads: threads)
    (perplexityBefore, perplexityAfter) = (old.perplexity, new.perplexity)
    let stays = zip(old, new).map { $0.best == $1.best }
    kept = Double(stays.count { $0 }) / Double(stays.count)
    let right = stays.indices.filter { old[$0].isBest }
    keptOfRight = right.isEmpty ? nil : Double(right.count { stays[$0] }) / Double(right.count)
    // Rounding may leave a little less than nothing; what is no number stays that.
    let mean = divergences.reduce(0, +) / Double(divergences.count)
    divergence = mean < 0 ? 0 : mean
  }
}
