import BERT
import Kernels

/// How well a model answers questions.
public struct AnswerFigures: Sendable, Hashable {
  /// exp of the mean of −ln P(answer), P of an answer of several word pieces their product.
  public let perplexity: Double
  /// Share of questions whose arg-max is the answer.
  public let accuracy: Double
  /// The arg-max of each question's word pieces, each a word-piece id.
  public let best: [[Int]]
}

extension MaskedLanguageModel {
  /// Perplexity and accuracy over questions.
  ///
  /// - Throws: `PromptError` or `ModelError` for a prompt or answer that the model cannot take.
  public func answerFigures(
    _ questions: [Question], order: AnswerOrder = .leftToRight, threads: ThreadCount = .allCores
  ) throws -> AnswerFigures {
    let factors = try questions.map { try self.factors($0.prompt, answer: $0.answer, order: order) }
    let outcomes = outcomes(factors, threads: threads)
    return AnswerFigures(
      perplexity: outcomes.perplexity, accuracy: outcomes.accuracy, best: outcomes.map(\.best))
  }
}
