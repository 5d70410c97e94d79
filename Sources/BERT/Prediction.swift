import Foundation
import Kernels

/// What the model says at one prompt's `[MASK]`: log-probabilities over the vocabulary.
public struct Prediction: Sendable {
  /// ln P of each word piece, `[vocabulary]`.
  public let logProbabilities: [Float]

  /// A prediction with these log-probabilities, `[vocabulary]`.
  public init(logProbabilities: [Float]) { self.logProbabilities = logProbabilities }

  /// The most probable word piece; the first of equals.
  public var best: Int {
    var best = 0
    for id in logProbabilities.indices where logProbabilities[id] > logProbabilities[best] { best = id }
    return best
  }

  /// P of a word piece.
  public func probability(of id: Int) -> Double { exp(Double(logProbabilities[id])) }

  /// One more than the number of word pieces that are more probable than `id`.
  public func rank(of id: Int) -> Int { logProbabilities.count { $0 > logProbabilities[id] } + 1 }

  /// The Kullback-Leibler divergence from another prediction, Σ P_other · (ln P_other − ln P), in nats.
  public func divergence(from other: Prediction) -> Double {
    zip(other.logProbabilities, logProbabilities).reduce(0.0) { sum, pair in
      // e^−30 of anything is nothing, and not worth an exponential.
      pair.0 < -30 ? sum : sum + exp(Double(pair.0)) * Double(pair.0 - pair.1)
    }
  }

  /// The `count` most probable word pieces, most probable first, equals by id.
  public func top(_ count: Int) -> [Int] {
    let order = logProbabilities.indices.sorted {
      (logProbabilities[$0], -$0) > (logProbabilities[$1], -$1)
    }
    return Array(order.prefix(count))
  }
}

extension BERT {
  /// The most rows of one packed pass: enough to keep matrix products busy, little enough to stay in the caches.
  static let packedRows = 1024

  /// Fewer rows than this for each thread go through one pass whose products all threads share: weights are then laid out
  /// once for all of them, which costs more than the arithmetic of so few rows.
  static let fewestRows = 128

  /// Runs prompts, packed without padding, and reads each one's prediction.
  ///
  /// - Parameters:
  ///   - prompts: The prompts.
  ///   - interventions: Changes to activations at `[MASK]`, per prompt, or empty.
  ///   - threads: Threads to use; results depend on it only by rounding.
  ///   - read: Turns the prediction of the prompt with that index into what is wanted of it, on any thread.
  /// - Returns: What `read` returned, in the order of `prompts`.
  public func predict<Result: Sendable>(
    _ prompts: [EncodedPrompt], interventions: [[Intervention]] = [], threads: ThreadCount = .allCores,
    read: @Sendable (Int, Prediction) -> Result
  ) -> [Result] {
    precondition(interventions.isEmpty || interventions.count == prompts.count)
    let passes = packs(prompts, rows: balancedRows(prompts.reduce(0) { $0 + $1.ids.count }, threads))
    return concurrently(passes.count, threads: threads) { pass in
      let range = passes[pass]
      let forward = ForwardPass(
        self, Array(prompts[range]), interventions: interventions.isEmpty ? [] : Array(interventions[range]))
      let logits = head.logits(forward.states.all)
      logSoftmax(logits.all)
      return range.map { index in
        let row = logits.rows(index - range.lowerBound, count: 1)
        return read(index, Prediction(logProbabilities: row.values))
      }
    }.flatMap { $0 }
  }

  /// The activations after GELU at `[MASK]`, per prompt `[layers · intermediate]`, layer after layer.
  public func activations(_ prompts: [EncodedPrompt], threads: ThreadCount = .allCores) -> [[Float]] {
    let passes = packs(prompts, rows: balancedRows(prompts.reduce(0) { $0 + $1.ids.count }, threads))
    return concurrently(passes.count, threads: threads) { pass in
      let forward = ForwardPass(self, Array(prompts[passes[pass]]))
      return passes[pass].indices.map { offset in
        let row = offset - passes[pass].lowerBound
        return forward.activations.flatMap { $0.rows(row, count: 1).values }
      }
    }.flatMap { $0 }
  }

  /// The rows of each pass that give all threads the same number of passes, of about the same size.
  func balancedRows(_ total: Int, _ threads: ThreadCount) -> Int {
    if total < Self.fewestRows * threads.value { return max(1, total) }
    let rounds = (total + Self.packedRows * threads.value - 1) / (Self.packedRows * threads.value)
    let passes = max(1, rounds * threads.value)
    return (total + passes - 1) / passes
  }

  /// Consecutive prompts that together have about `limit` rows, or one longer prompt each, in passes of about the same size.
  package func packs(_ prompts: [EncodedPrompt], rows limit: Int) -> [Range<Int>] {
    let total = prompts.reduce(0) { $0 + $1.ids.count }
    let count = max(1, (total + limit - 1) / limit)
    var result: [Range<Int>] = []
    var (start, before, current) = (0, 0, 0)
    for (index, prompt) in prompts.enumerated() {
      // A prompt goes to the pass in whose share of all rows its middle lies.
      let share = (2 * before + prompt.ids.count) * count / max(1, 2 * total)
      if share != current, index > start {
        result.append(start..<index)
        start = index
      }
      current = share
      before += prompt.ids.count
    }
    if start < prompts.count { result.append(start..<prompts.count) }
    return result
  }
}
