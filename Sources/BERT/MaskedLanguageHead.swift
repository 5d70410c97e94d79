import Checkpoint
import Foundation
import Kernels
import Tensors

/// The masked-language-model head: transform, normalisation and the decoder, which shares the word embeddings.
struct MaskedLanguageHead {
  let weights: BERTWeights
  let epsilon: Float
  /// What ``probabilityGradient(_:_:decoding:)`` multiplies with; empty for the decoder as it lies.
  var packedDecoder: [PackedWeights.Projection] = []

  /// What the way back needs, for `rows` hidden states.
  final class Tape {
    let inputs: Matrix
    let unit: Matrix
    let deviation: Matrix

    init(rows: Int, hidden: Int) {
      inputs = Matrix(unfilled: rows, columns: hidden)
      unit = Matrix(unfilled: rows, columns: hidden)
      deviation = Matrix(unfilled: rows, columns: 1)
    }
  }

  /// What the decoder multiplies, `[rows, hidden]`, of final hidden states `[rows, hidden]`.
  private func transform(_ states: Slice, tape: Tape?) -> Matrix {
    let transformed = Matrix(unfilled: states.rows, columns: states.columns)
    weights.headTransform.apply(states, into: transformed.all)
    gelu(transformed.all, bias: weights.headTransform.bias, inputs: tape?.inputs.all)
    layerNormalize(
      transformed.all, scale: weights.headNorm.scale, shift: weights.headNorm.shift, epsilon: epsilon,
      normalized: tape?.unit.all, deviation: tape?.deviation.all)
    return transformed
  }

  /// Logits `[rows, vocabulary]` of final hidden states `[rows, hidden]`.
  func logits(_ states: Slice, tape: Tape? = nil) -> Matrix {
    let transformed = transform(states, tape: tape)
    let logits = Matrix(unfilled: states.rows, columns: weights.decoderBias.count)
    multiply(transformed.all, weight: weights.wordEmbeddings, transposing: true, into: logits.all)
    add(weights.decoderBias, to: logits.all)
    return logits
  }

  /// The gradient of the logits `[rows, vocabulary]` carried back to the hidden states `[rows, hidden]`.
  func backward(_ gradient: Slice, tape: Tape, into states: Slice) {
    let transformed = Matrix(unfilled: states.rows, columns: states.columns)
    multiply(gradient, weight: weights.wordEmbeddings, transposing: false, into: transformed.all)
    transformBackward(transformed, tape: tape, into: states)
  }

  /// The gradient of what the decoder multiplies, which is used up, carried back to the hidden states.
  private func transformBackward(_ transformed: Matrix, tape: Tape, into states: Slice) {
    layerNormalizeBackward(
      transformed.all, scale: weights.headNorm.scale, normalized: tape.unit.all, deviation: tape.deviation.all)
    geluBackward(transformed.all, at: tape.inputs.all)
    weights.headTransform.applyBackward(transformed.all, into: states)
  }

  /// Word pieces whose logits ``probabilityGradient(_:_:decoding:)`` has at a time: as many rows of the decoder as the caches hold, so
  /// that it is read once for both ways.
  static func decodedPieces(vocabulary: Int, hidden: Int) -> Int {
    let parts = max(1, 4 * vocabulary * hidden / decodedBytes)
    return (vocabulary + parts - 1) / parts
  }

  private static let decodedBytes = 8 << 20

  /// The word pieces of each such part.
  var decodedParts: [Range<Int>] {
    let (vocabulary, hidden) = (weights.wordEmbeddings.rows, weights.wordEmbeddings.columns)
    return Self.parts(of: vocabulary, Self.decodedPieces(vocabulary: vocabulary, hidden: hidden))
  }

  private static func parts(of vocabulary: Int, _ most: Int) -> [Range<Int>] {
    stride(from: 0, to: vocabulary, by: most).map { $0..<min($0 + most, vocabulary) }
  }

  /// P(answer) of final states `[rows, hidden]` and its gradient with respect to them; one answer a row.
  ///
  /// With q the softmax of all other pieces, E the decoder and o their log-sum-exp, P = 1 / (1 + exp(o − l)) for the answer's
  /// logit l, and ∂P/∂(what the decoder multiplies) = P · (1 − P) · (E of the answer − q · E). So 1 − P has all its digits
  /// where P is close to 1, and q · E can be summed part by part.
  ///
  /// - Parameter decoded: Word pieces of each part, ``decodedPieces(vocabulary:hidden:)`` unless given.
  func probabilityGradient(
    _ states: Matrix, _ answers: [Int], decoding decoded: Int? = nil
  ) -> (probabilities: [Float], gradient: Matrix) {
    let tape = Tape(rows: states.rows, hidden: states.columns)
    let transformed = transform(states.all, tape: tape)
    let means = Matrix(rows: states.rows, columns: states.columns)
    var answerLogits = answers.map { _ in 0.0 }
    var others = answers.map { _ in -Double.infinity }
    let parts = decoded.map { Self.parts(of: weights.decoderBias.count, $0) } ?? decodedParts
    for (part, pieces) in parts.enumerated() {
      let decoder = weights.wordEmbeddings.part(pieces)
      let packed = decoded == nil && part < packedDecoder.count ? packedDecoder[part] : nil
      let logits = Matrix(unfilled: states.rows, columns: pieces.count)
      if let packed {
        multiply(transformed.all, packed.up, into: logits.all)
      } else {
        multiply(transformed.all, weight: decoder, transposing: true, into: logits.all)
      }
      add(weights.decoderBias.part(pieces), to: logits.all)
      for (row, answer) in answers.enumerated() where pieces.contains(answer) {
        answerLogits[row] = Double(logits[row, answer - pieces.lowerBound])
        logits[row, answer - pieces.lowerBound] = Self.excluded
      }
      let tops = maxima(logits.all)
      softmax(logits.all)
      // The likeliest piece's share is 1 / Σ e^(logit − largest).
      for (row, share) in maxima(logits.all).enumerated() {
        let own = Double(tops[row]) - log(Double(share))
        let largest = max(own, others[row])
        let sum = largest + log(exp(own - largest) + exp(others[row] - largest))
        scale(logits.rows(row, count: 1), by: Float(exp(own - sum)))
        scale(means.rows(row, count: 1), by: Float(exp(others[row] - sum)))
        others[row] = sum
      }
      if let packed {
        multiply(logits.all, packed.down, into: means.all, accumulating: true)
      } else {
        multiply(logits.all, weight: decoder, transposing: false, into: means.all, accumulating: true)
      }
    }
    let probabilities = zip(answerLogits, others).map { 1 / (1 + exp($1 - $0)) }
    for (row, answer) in answers.enumerated() {
      let (rest, mean) = (1 / (1 + exp(answerLogits[row] - others[row])), means.rows(row, count: 1))
      scale(mean, by: -1)
      add(Tensor(shape: [mean.columns], values: weights.wordEmbeddings.row(answer)), to: mean)
      scale(mean, by: Float(probabilities[row] * rest))
    }
    let gradient = Matrix(rows: states.rows, columns: states.columns)
    transformBackward(means, tape: tape, into: gradient.all)
    return (probabilities.map { Float($0) }, gradient)
  }

  /// A logit that no piece has, so that e to it is nothing beside any other's.
  private static let excluded: Float = -1e30

  /// The goals' weighted loss, what was found of each, and the loss's gradient with respect to the states `[goals, hidden]`.
  ///
  /// - Parameters:
  ///   - neighbourFactor: What the weights of goals that nothing should change are multiplied with.
  ///   - pulls: See ``SlotObjective/evaluate(_:neighbourFactor:pulls:)``.
  ///   - columns: The column of each word piece in this head's logits.
  ///   - before: The distributions that ``OutputGoal/Wanted/unchanged`` means, `[goals, pieces]`.
  ///   - negativeEntropies: Σ p · ln p of each.
  func goalGradient(
    _ states: Matrix, _ goals: [OutputGoal], neighbourFactor: Double, pulls: [Double], columns: [Int: Int],
    before: Matrix, negativeEntropies: [Double]
  ) -> (loss: Double, found: [GoalRow.Judged], gradient: Matrix) {
    let tape = Tape(rows: states.rows, hidden: states.columns)
    let logs = logits(states.all, tape: tape)
    let distribution = Matrix(unfilled: logs.rows, columns: logs.columns)
    distribution.all.copy(from: logs.all)
    softmax(distribution.all)
    logSoftmax(logs.all)
    var loss = 0.0
    var found: [GoalRow.Judged] = []
    for (row, goal) in goals.enumerated() {
      let pull = goal.relation.map { $0 < pulls.count ? pulls[$0] : 0 } ?? 0
      let judged = GoalRow(
        row: row, logs: logs, gradients: distribution, before: before, negativeEntropies: negativeEntropies,
        columns: columns
      ).judge(goal.wanted, pull: pull)
      let weight = goal.weight * (goal.wantsNoChange ? neighbourFactor : 1)
      loss += weight * judged.loss
      found.append(judged)
      scale(distribution.rows(row, count: 1), by: judged.isSloping ? Float(weight) : 0)
    }
    let gradient = Matrix(rows: states.rows, columns: states.columns)
    backward(distribution.all, tape: tape, into: gradient.all)
    return (loss, found, gradient)
  }
}
