import BERT
import Foundation
import Kernels

/// A prompt with the answer expected at its `[MASK]`.
public struct Question: Sendable, Hashable {
  /// The prompt.
  public let prompt: String
  /// The answer.
  public let answer: String

  /// Asks for `answer` at the `[MASK]` of `prompt`.
  public init(prompt: String, answer: String) {
    self.prompt = prompt
    self.answer = answer
  }
}

/// How well a model answers questions.
public struct AnswerFigures: Sendable, Hashable {
  /// exp of the mean of −ln P(answer).
  public let perplexity: Double
  /// Share of questions whose arg-max is the answer.
  public let accuracy: Double
  /// The arg-max of each question, a word-piece id.
  public let best: [Int]
}

extension MaskedLanguageModel {
  /// Perplexity and accuracy over questions.
  ///
  /// - Throws: `PromptError` or `ModelError` for a prompt or answer that the model cannot take.
  public func answerFigures(_ questions: [Question], threads: ThreadCount = .allCores) throws -> AnswerFigures {
    let prompts = try questions.map { try encode($0.prompt) }
    let answers = try questions.map { try answer($0.answer) }
    let rows = bert.predict(prompts, threads: threads) { index, prediction in
      (Double(prediction.logProbabilities[answers[index]]), prediction.best)
    }
    let count = Double(max(1, rows.count))
    return AnswerFigures(
      perplexity: exp(-rows.reduce(0) { $0 + $1.0 } / count),
      accuracy: Double(zip(rows, answers).count { $0.1 == $1 }) / count, best: rows.map(\.1))
  }
}
