import Checkpoint
import Foundation
import Kernels
import Tensors

/// The masked-language-model head: transform, normalisation and the decoder, which shares the word embeddings.
struct MaskedLanguageHead {
  let weights: BERTWeights
  let epsilon: Float

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
    let vocabulary = weights.decoderBias.count
    let most = decoded ?? Self.decodedPieces(vocabulary: vocabulary, hidden: states.columns)
    for start in stride(from: 0, to: vocabulary, by: most) {
      let pieces = start..<min(start + most, vocabulary)
      let decoder = weights.wordEmbeddings.part(pieces)
      let logits = Matrix(unfilled: states.rows, columns: pieces.count)
      multiply(transformed.all, weight: decoder, transposing: true, into: logits.all)
      add(weights.decoderBias.part(pieces), to: logits.all)
      for (row, answer) in answers.enumerated() where pieces.contains(answer) {
        answerLogits[row] = Double(logits[row, answer - start])
        logits[row, answer - start] = Self.excluded
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
      multiply(logits.all, weight: decoder, transposing: false, into: means.all, accumulating: true)
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

  /// The goals' weighted loss, P of each wanted answer and whether it is the likeliest, and the loss's gradient with respect
  /// to the states `[goals, hidden]`.
  ///
  /// - Parameters:
  ///   - neighbourFactor: What the weights of goals that nothing should change are multiplied with.
  ///   - columns: The column of each word piece in this head's logits.
  ///   - before: The distributions that ``OutputGoal/Wanted/unchanged`` means, `[goals, pieces]`.
  ///   - negativeEntropies: Σ p · ln p of each.
  func goalGradient(
    _ states: Matrix, _ goals: [OutputGoal], neighbourFactor: Double, columns: [Int: Int], before: Matrix,
    negativeEntropies: [Double]
  ) -> (
    loss: Double, answers: [SlotGradients.Answer?], gradient: Matrix
  ) {
    let tape = Tape(rows: states.rows, hidden: states.columns)
    let logs = logits(states.all, tape: tape)
    let distribution = Matrix(unfilled: logs.rows, columns: logs.columns)
    distribution.all.copy(from: logs.all)
    softmax(distribution.all)
    logSoftmax(logs.all)
    var loss = 0.0
    var answers: [SlotGradients.Answer?] = []
    func place(of piece: Int) -> Int {
      guard let column = columns[piece] else {
        preconditionFailure("a goal's word pieces are always among the columns")
      }
      return column
    }
    for (row, goal) in goals.enumerated() {
      let gradient = distribution.rows(row, count: 1)
      var weight = goal.weight
      var answer: SlotGradients.Answer?
      func said(_ column: Int) -> SlotGradients.Answer {
        let own = logs[row, column]
        return SlotGradients.Answer(
          probability: exp(Double(own)), isLikeliest: logs.rows(row, count: 1).values.allSatisfy { $0 <= own },
          chance: 0)
      }
      switch goal.wanted {
      case .answer(let piece, let least):
        let column = place(of: piece)
        let missing = log(least) - Double(logs[row, column])
        answer = said(column)
        if missing > 0 { loss += weight * missing } else { weight = 0 }
        distribution[row, column] -= 1
      case .unchanged, .keeping:
        weight *= neighbourFactor
        loss += weight * (negativeEntropies[row] - dot(before.rows(row, count: 1), logs.rows(row, count: 1)))
        // Where ½ (ln P − ln P before)² is added, by its slope: change · (1 at the piece − P).
        if case .keeping(let piece) = goal.wanted {
          let column = place(of: piece)
          let was = max(before[row, column], .leastNormalMagnitude)
          let change = Double(logs[row, column]) - log(Double(was))
          loss += weight * change * change / 2
          scale(gradient, by: Float(1 - change))
          distribution[row, column] += Float(change)
        }
        add(before.rows(row, count: 1), times: -1, to: gradient)
      case .level(let piece, let wanted):
        let column = place(of: piece)
        let excess = Double(logs[row, column]) - log(wanted)
        answer = said(column)
        loss += goal.weight * abs(excess)
        weight = excess > 0 ? -goal.weight : goal.weight
        distribution[row, column] -= 1
      case .amid(let piece, let others, let together):
        let column = place(of: piece)
        precondition(!others.isEmpty)
        let rivals = others.map(place(of:))
        let share = 1 / Double(rivals.count)
        let own = logs[row, column]
        let excess = Double(own) - rivals.reduce(0) { $0 + Double(logs[row, $1]) } * share
        answer = SlotGradients.Answer(
          probability: exp(Double(own)), isLikeliest: rivals.allSatisfy { logs[row, $0] <= own },
          chance: 1 / Double(rivals.count + 1))
        loss += goal.weight * abs(excess)
        let all = rivals + [column]
        // Never 0, which has no logarithm.
        let sum = max(.leastNormalMagnitude, all.reduce(0.0) { $0 + exp(Double(logs[row, $1])) })
        // The softmax's denominator is in both logarithms of the excess, so that only the pieces named have a gradient by it.
        if sum < together {
          loss += goal.weight * (log(together) - log(sum))
          for one in all { distribution[row, one] -= Float(exp(Double(logs[row, one])) / sum) }
        } else {
          scale(gradient, by: 0)
        }
        let sign: Float = excess > 0 ? 1 : -1
        distribution[row, column] += sign
        for rival in rivals { distribution[row, rival] -= sign * Float(share) }
      }
      answers.append(answer)
      scale(gradient, by: Float(weight))
    }
    let gradient = Matrix(rows: states.rows, columns: states.columns)
    backward(distribution.all, tape: tape, into: gradient.all)
    return (loss, answers, gradient)
  }
}
