import Checkpoint
import Foundation
import Kernels
import Tensors

/// The masked-language-model head: transform, normalisation and the decoder, which shares the word embeddings.
struct MaskedLanguageHead {
  let weights: BERTWeights
  let epsilon: Float
  /// What ``probabilityGradient(_:_:decoding:rounded:)`` multiplies with; empty for the decoder as it lies.
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

  /// What the decoder was given and what it made of that.
  struct Decoded {
    /// `[rows, hidden]`.
    let states: Matrix
    /// `[rows, vocabulary]`.
    let logits: Matrix
  }

  /// Decodes final hidden states `[rows, hidden]`.
  func decode(_ states: Slice, tape: Tape? = nil) -> Decoded {
    let transformed = transform(states, tape: tape)
    let logits = Matrix(unfilled: states.rows, columns: weights.decoderBias.count)
    multiply(transformed.all, weight: weights.wordEmbeddings, transposing: true, into: logits.all)
    add(weights.decoderBias, to: logits.all)
    return Decoded(states: transformed, logits: logits)
  }

  /// Logits `[rows, vocabulary]` of final hidden states `[rows, hidden]`.
  func logits(_ states: Slice, tape: Tape? = nil) -> Matrix { decode(states, tape: tape).logits }

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

  /// Word pieces whose logits ``probabilityGradient(_:_:decoding:rounded:)`` has at a time: as many rows of the decoder as the caches hold, so
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
  /// - Parameters:
  ///   - decoded: Word pieces of each part, ``decodedPieces(vocabulary:hidden:)`` unless given.
  ///   - rounded: The decoder in bfloat16, to multiply with where that is enough (``RoundedDecoder``); nil for float32 alone.
  func probabilityGradient(
    _ states: Matrix, _ answers: [Int], decoding decoded: Int? = nil, rounded: RoundedDecoder? = nil
  ) -> (probabilities: [Float], gradient: Matrix) {
    let tape = Tape(rows: states.rows, hidden: states.columns)
    let transformed = transform(states.all, tape: tape)
    let others = rounded?.others(transformed.all, answers) ?? others(transformed.all, answers, decoding: decoded)
    // ln of the odds of the answer to all others.
    let odds = answers.enumerated().map { row, answer in
      dot(transformed.rows(row, count: 1), row: answer, of: weights.wordEmbeddings) + weights.decoderBias(answer)
        - others.logSums[row]
    }
    for (row, answer) in answers.enumerated() {
      let mean = others.means.rows(row, count: 1)
      scale(mean, by: -1)
      add(row: answer, of: weights.wordEmbeddings, to: mean)
      scale(mean, by: Float(1 / ((1 + exp(-odds[row])) * (1 + exp(odds[row])))))
    }
    let gradient = Matrix(rows: states.rows, columns: states.columns)
    transformBackward(others.means, tape: tape, into: gradient.all)
    return (odds.map { Float(1 / (1 + exp(-$0))) }, gradient)
  }

  /// What ``probabilityGradient(_:_:decoding:rounded:)`` has to know of all word pieces but the answer.
  struct Others {
    /// ln Σ e^logit of each row.
    var logSums: [Double]
    /// The decoder's rows averaged by their softmax, `[rows, hidden]`.
    let means: Matrix
  }

  private func others(_ transformed: Slice, _ answers: [Int], decoding decoded: Int?) -> Others {
    var result = Others(
      logSums: answers.map { _ in -.infinity }, means: Matrix(rows: transformed.rows, columns: transformed.columns))
    let parts = decoded.map { Self.parts(of: weights.decoderBias.count, $0) } ?? decodedParts
    for (part, pieces) in parts.enumerated() {
      let decoder = weights.wordEmbeddings.part(pieces)
      let packed = decoded == nil && part < packedDecoder.count ? packedDecoder[part] : nil
      let logits = Matrix(unfilled: transformed.rows, columns: pieces.count)
      if let packed {
        multiply(transformed, packed.up, into: logits.all)
      } else {
        multiply(transformed, weight: decoder, transposing: true, into: logits.all)
      }
      add(weights.decoderBias.part(pieces), to: logits.all)
      for (row, own) in shares(logits.all, pieces, without: answers).enumerated() {
        let sum = Self.logSum(own, result.logSums[row])
        scale(logits.rows(row, count: 1), by: Float(exp(own - sum)))
        scale(result.means.rows(row, count: 1), by: Float(exp(result.logSums[row] - sum)))
        result.logSums[row] = sum
      }
      if let packed {
        multiply(logits.all, packed.down, into: result.means.all, accumulating: true)
      } else {
        multiply(logits.all, weight: decoder, transposing: false, into: result.means.all, accumulating: true)
      }
    }
    return result
  }

  /// Makes of the logits of a part of the pieces, `[rows, pieces]`, their softmax without each row's answer, and returns its
  /// ln Σ e^logit.
  func shares(_ logits: Slice, _ pieces: Range<Int>, without answers: [Int]) -> [Double] {
    for (row, answer) in answers.enumerated() where pieces.contains(answer) {
      logits.row(row).columns(answer - pieces.lowerBound, count: 1).copy([Self.excluded], toRow: 0)
    }
    let tops = maxima(logits)
    softmax(logits)
    // The likeliest piece's share is 1 / Σ e^(logit − largest).
    return zip(tops, maxima(logits)).map { Double($0) - log(Double($1)) }
  }

  /// ln (e^a + e^b).
  static func logSum(_ a: Double, _ b: Double) -> Double {
    let largest = max(a, b)
    return largest + log(exp(a - largest) + exp(b - largest))
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

extension BERTWeights {
  /// The decoder's bias of one word piece.
  func decoderBias(_ piece: Int) -> Double { Double(decoderBias.part(piece..<piece + 1).row(0)[0]) }
}
