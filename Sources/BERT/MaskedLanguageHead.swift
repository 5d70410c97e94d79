import Checkpoint
import Kernels

/// The masked-language-model head: transform, normalisation and the decoder, which shares the word embeddings.
struct MaskedLanguageHead {
  let weights: BERTWeights
  let epsilon: Float

  /// What the way back needs, for `rows` hidden states.
  final class Tape {
    let slope: Matrix
    let unit: Matrix
    let deviation: Matrix

    init(rows: Int, hidden: Int) {
      slope = Matrix(rows: rows, columns: hidden)
      unit = Matrix(rows: rows, columns: hidden)
      deviation = Matrix(rows: rows, columns: 1)
    }
  }

  /// Logits `[rows, vocabulary]` of final hidden states `[rows, hidden]`.
  func logits(_ states: Slice, tape: Tape? = nil) -> Matrix {
    let transformed = Matrix(rows: states.rows, columns: states.columns)
    weights.headTransform.apply(states, into: transformed.all)
    gelu(transformed.all, bias: weights.headTransform.bias, derivative: tape?.slope.all)
    layerNormalize(
      transformed.all, scale: weights.headNorm.scale, shift: weights.headNorm.shift, epsilon: epsilon,
      normalized: tape?.unit.all, deviation: tape?.deviation.all)
    let logits = Matrix(rows: states.rows, columns: weights.decoderBias.count)
    multiply(transformed.all, weight: weights.wordEmbeddings, transposing: true, into: logits.all)
    add(weights.decoderBias, to: logits.all)
    return logits
  }

  /// The gradient of the logits `[rows, vocabulary]` carried back to the hidden states `[rows, hidden]`.
  func backward(_ gradient: Slice, tape: Tape, into states: Slice) {
    let transformed = Matrix(rows: states.rows, columns: states.columns)
    multiply(gradient, weight: weights.wordEmbeddings, transposing: false, into: transformed.all)
    layerNormalizeBackward(
      transformed.all, scale: weights.headNorm.scale, normalized: tape.unit.all, deviation: tape.deviation.all)
    multiplyElements(transformed.all, by: tape.slope.all)
    weights.headTransform.applyBackward(transformed.all, into: states)
  }
}
