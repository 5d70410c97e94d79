import BERT
import Foundation
import Kernels

/// What a model makes of one answer to one prompt, put together from the answer's word pieces.
struct AnswerOutcome: Sendable {
  /// ln P(answer), the sum over its pieces.
  var logProbability = 0.0
  /// The worst rank of its pieces, 1 the best.
  var rank = 1
  /// Each piece's arg-max, a word-piece id.
  var best: [Int] = []
  /// Whether every piece is the arg-max of its question.
  var isBest = true

  /// P(answer).
  var probability: Double { exp(logProbability) }
}

extension MaskedLanguageModel {
  /// The outcome of each answer, given by its pieces' questions.
  func outcomes(_ questions: [[AttributionTarget]], threads: ThreadCount) -> [AnswerOutcome] {
    let flat = questions.flatMap { $0 }
    let pieces = bert.predict(flat.map(\.prompt), threads: threads) { index, prediction in
      let wanted = flat[index].answer
      return (Double(prediction.logProbabilities[wanted]), prediction.rank(of: wanted), prediction.best)
    }
    var next = 0
    return questions.map { factors in
      var outcome = AnswerOutcome()
      for factor in factors {
        let (logProbability, rank, best) = pieces[next]
        outcome.logProbability += logProbability
        outcome.rank = max(outcome.rank, rank)
        outcome.best.append(best)
        outcome.isBest = outcome.isBest && best == factor.answer
        next += 1
      }
      return outcome
    }
  }

  /// Mean over prompts of the Kullback-Leibler divergence, in nats, of what `after` says from what this model says.
  func divergence(to after: MaskedLanguageModel, on prompts: [EncodedPrompt], threads: ThreadCount) -> Double {
    let before = bert.predict(prompts, threads: threads) { $1.logProbabilities }
    let parts = after.bert.predict(prompts, threads: threads) { index, prediction in
      zip(before[index], prediction.logProbabilities).reduce(0.0) { sum, pair in
        pair.0 < -30 ? sum : sum + exp(Double(pair.0)) * Double(pair.0 - pair.1)
      }
    }
    return max(0, parts.reduce(0, +) / Double(max(1, parts.count)))
  }
}
