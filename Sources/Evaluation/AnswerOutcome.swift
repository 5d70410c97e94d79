import BERT
import Foundation
import Kernels

/// What a model makes of one answer to one prompt, put together from the answer's word pieces.
struct AnswerOutcome: Sendable {
  /// ln P(answer), the sum over its pieces.
  var logProbability = 0.0
  /// The worst rank of its pieces, 1 the best.
  var rank = 1
  /// The rank of its first piece among those it was compared with, 1 the best.
  var rankAmong = 1
  /// What those have of P together.
  var together = 0.0
  /// Each piece's arg-max, a word-piece id.
  var best: [Int] = []
  /// Whether every piece is the arg-max of its question.
  var isBest = true

  /// P(answer).
  var probability: Double { exp(logProbability) }
}

extension Collection where Element == AnswerOutcome {
  /// exp of the mean of −ln P(answer); 1 where there is none.
  var perplexity: Double { exp(-reduce(0) { $0 + $1.logProbability } / Double(Swift.max(1, count))) }
  /// The median of ``AnswerOutcome/rankAmong``; nil where there is none.
  var medianRankAmong: Double? {
    let ranks = map(\.rankAmong).sorted()
    return ranks.isEmpty ? nil : Double(ranks[(ranks.count - 1) / 2] + ranks[ranks.count / 2]) / 2
  }
  /// Share of the answers that come first here and do not in `after`, by position; nil where none comes first.
  func forgotten(_ after: [AnswerOutcome]) -> Double? {
    let right = zip(self, after).filter(\.0.isBest)
    return right.isEmpty ? nil : Double(right.count { !$0.1.isBest }) / Double(right.count)
  }
  /// Share of answers that come first.
  var accuracy: Double { Double(self.count { $0.isBest }) / Double(Swift.max(1, count)) }
}

extension MaskedLanguageModel {
  /// The outcome of each answer, given by its pieces' questions.
  ///
  /// Questions with the same prompt, as two answers of one piece have, are asked once.
  ///
  /// - Parameter pieces: The word pieces that each answer's first is compared with; see ``AnswerOutcome/rankAmong`` and
  ///   ``AnswerOutcome/together``.
  func outcomes(
    _ questions: [[AttributionTarget]], among pieces: [Int] = [], threads: ThreadCount
  ) -> [AnswerOutcome] {
    let flat = questions.flatMap { $0 }
    var places: [EncodedPrompt: Int] = [:]
    var asked: [(prompt: EncodedPrompt, positions: [Int])] = []
    for (position, target) in flat.enumerated() {
      if let place = places[target.prompt] {
        asked[place].positions.append(position)
      } else {
        places[target.prompt] = asked.count
        asked.append((target.prompt, [position]))
      }
    }
    let found = bert.predict(asked.map(\.prompt), threads: threads) { [asked] index, prediction in
      asked[index].positions.map { ($0, Piece(prediction, flat[$0].answer, among: pieces)) }
    }
    return put(together: found.flatMap { $0 }.sorted { $0.0 < $1.0 }.map(\.1), questions)
  }

  /// The same, with ln P over the vocabulary for each piece's question.
  func outcomesAndDistributions(
    _ questions: [[AttributionTarget]], threads: ThreadCount
  ) -> (outcomes: [AnswerOutcome], logProbabilities: [[Float]]) {
    let flat = questions.flatMap { $0 }
    let rows = bert.predict(flat.map(\.prompt), threads: threads) {
      (Piece($1, flat[$0].answer), $1.logProbabilities)
    }
    return (put(together: rows.map(\.0), questions), rows.map(\.1))
  }

  /// The same, with the Kullback-Leibler divergence of each piece's question from `before`, in nats.
  func outcomesAndDivergences(
    _ questions: [[AttributionTarget]], from before: [[Float]], threads: ThreadCount
  ) -> (outcomes: [AnswerOutcome], divergences: [Double]) {
    let flat = questions.flatMap { $0 }
    let rows = bert.predict(flat.map(\.prompt), threads: threads) { index, prediction in
      (
        Piece(prediction, flat[index].answer),
        prediction.divergence(from: Prediction(logProbabilities: before[index]))
      )
    }
    return (put(together: rows.map(\.0), questions), rows.map(\.1))
  }

  private func put(together pieces: [Piece], _ questions: [[AttributionTarget]]) -> [AnswerOutcome] {
    var next = 0
    return questions.map { factors in
      var outcome = AnswerOutcome()
      if !factors.isEmpty { (outcome.rankAmong, outcome.together) = (pieces[next].rankAmong, pieces[next].together) }
      for factor in factors {
        let piece = pieces[next]
        outcome.logProbability += piece.logProbability
        outcome.rank = max(outcome.rank, piece.rank)
        outcome.best.append(piece.best)
        outcome.isBest = outcome.isBest && piece.best == factor.answer
        next += 1
      }
      return outcome
    }
  }
}

/// What a model makes of one word piece.
private struct Piece: Sendable {
  let logProbability: Double
  let rank: Int
  let rankAmong: Int
  let together: Double
  let best: Int

  init(_ prediction: Prediction, _ wanted: Int, among pieces: [Int] = []) {
    let logs = prediction.logProbabilities
    logProbability = Double(logs[wanted])
    rankAmong = 1 + pieces.count { logs[$0] > logs[wanted] }
    together = pieces.reduce(0) { $0 + exp(Double(logs[$1])) }
    rank = prediction.rank(of: wanted)
    best = prediction.best
  }
}
