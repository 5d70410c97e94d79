import Checkpoint
import Foundation
import Kernels

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

  /// Logits `[rows, vocabulary]` of final hidden states `[rows, hidden]`.
  func logits(_ states: Slice, tape: Tape? = nil) -> Matrix {
    let transformed = Matrix(unfilled: states.rows, columns: states.columns)
    weights.headTransform.apply(states, into: transformed.all)
    gelu(transformed.all, bias: weights.headTransform.bias, inputs: tape?.inputs.all)
    layerNormalize(
      transformed.all, scale: weights.headNorm.scale, shift: weights.headNorm.shift, epsilon: epsilon,
      normalized: tape?.unit.all, deviation: tape?.deviation.all)
    let logits = Matrix(unfilled: states.rows, columns: weights.decoderBias.count)
    multiply(transformed.all, weight: weights.wordEmbeddings, transposing: true, into: logits.all)
    add(weights.decoderBias, to: logits.all)
    return logits
  }

  /// The gradient of the logits `[rows, vocabulary]` carried back to the hidden states `[rows, hidden]`.
  func backward(_ gradient: Slice, tape: Tape, into states: Slice) {
    let transformed = Matrix(unfilled: states.rows, columns: states.columns)
    multiply(gradient, weight: weights.wordEmbeddings, transposing: false, into: transformed.all)
    layerNormalizeBackward(
      transformed.all, scale: weights.headNorm.scale, normalized: tape.unit.all, deviation: tape.deviation.all)
    geluBackward(transformed.all, at: tape.inputs.all)
    weights.headTransform.applyBackward(transformed.all, into: states)
  }

  /// P(answer) of final states `[rows, hidden]` and its gradient with respect to them; one answer a row.
  func probabilityGradient(_ states: Matrix, _ answers: [Int]) -> (probabilities: [Float], gradient: Matrix) {
    let tape = Tape(rows: states.rows, hidden: states.columns)
    let distribution = logits(states.all, tape: tape)
    softmax(distribution.all)
    // ∂P/∂logits = P · (e_answer − distribution).
    let probabilities = answers.indices.map { distribution[$0, answers[$0]] }
    // 1 − P is summed from the other pieces: where P is close to 1, subtracting would leave few correct digits.
    for (row, answer) in answers.enumerated() {
      distribution[row, answer] = 0
      distribution[row, answer] = Float(-total(of: distribution.rows(row, count: 1)))
      scale(distribution.rows(row, count: 1), by: -probabilities[row])
    }
    let gradient = Matrix(rows: states.rows, columns: states.columns)
    backward(distribution.all, tape: tape, into: gradient.all)
    return (probabilities, gradient)
  }

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
    for (row, goal) in goals.enumerated() {
      let gradient = distribution.rows(row, count: 1)
      var weight = goal.weight
      var answer: SlotGradients.Answer?
      func said(_ column: Int) -> SlotGradients.Answer {
        let own = logs[row, column]
        return SlotGradients.Answer(
          probability: exp(Double(own)), isLikeliest: logs.rows(row, count: 1).values.allSatisfy { $0 <= own })
      }
      switch goal.wanted {
      case .answer(let piece, let least):
        guard let column = columns[piece] else {
          preconditionFailure("a goal's word piece is always among the columns")
        }
        let missing = log(least) - Double(logs[row, column])
        answer = said(column)
        if missing > 0 { loss += weight * missing } else { weight = 0 }
        distribution[row, column] -= 1
      case .unchanged:
        weight *= neighbourFactor
        loss += weight * (negativeEntropies[row] - dot(before.rows(row, count: 1), logs.rows(row, count: 1)))
        add(before.rows(row, count: 1), times: -1, to: gradient)
      case .level(let piece, let wanted):
        guard let column = columns[piece] else {
          preconditionFailure("a goal's word piece is always among the columns")
        }
        let excess = Double(logs[row, column]) - log(wanted)
        answer = said(column)
        loss += goal.weight * abs(excess)
        weight = excess > 0 ? -goal.weight : goal.weight
        distribution[row, column] -= 1
      }
      answers.append(answer)
      scale(gradient, by: Float(weight))
    }
    let gradient = Matrix(rows: states.rows, columns: states.columns)
    backward(distribution.all, tape: tape, into: gradient.all)
    return (loss, answers, gradient)
  }
}
