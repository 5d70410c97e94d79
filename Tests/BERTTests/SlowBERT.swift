import Checkpoint
import Foundation

/// BERT in double precision, one sum at a time: the oracle of the fast passes.
///
/// Nothing is batched, skipped or shared, and gradients are differences of two runs.
struct SlowBERT {
  typealias Rows = [[Double]]

  /// A change to the activations after GELU of one layer at `[MASK]`.
  struct Change {
    var layer: Int
    var factor = 1.0
    var nudge: (index: Int, by: Double)?
  }

  let weights: BERTWeights
  let configuration: BERTConfiguration

  private func matrix(_ projection: BERTWeights.Projection) -> Rows {
    let weight = projection.weight
    return projection.orientation == .inputByOutput
      ? (0..<weight.rows).map { weight.row($0).map(Double.init) }
      : (0..<weight.columns).map { weight.column($0).map(Double.init) }
  }

  private func apply(_ projection: BERTWeights.Projection, _ x: [Double]) -> [Double] {
    let w = matrix(projection)
    return projection.bias.values.enumerated().map { column, bias in
      x.indices.reduce(Double(bias)) { $0 + x[$1] * w[$1][column] }
    }
  }

  private func normalize(_ x: [Double], _ norm: BERTWeights.Normalization) -> [Double] {
    let mean = x.reduce(0, +) / Double(x.count)
    let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
    let deviation = (variance + configuration.layerNormEpsilon).squareRoot()
    let (scale, shift) = (norm.scale.values, norm.shift.values)
    return x.indices.map { (x[$0] - mean) / deviation * Double(scale[$0]) + Double(shift[$0]) }
  }

  private func gelu(_ x: Double) -> Double { x * 0.5 * erfc(-x / 2.squareRoot()) }

  private func softmax(_ x: [Double]) -> [Double] {
    let largest = x.max() ?? 0
    let powers = x.map { exp($0 - largest) }
    let total = powers.reduce(0, +)
    return powers.map { $0 / total }
  }

  private func sum(_ a: [Double], _ b: [Double]) -> [Double] { zip(a, b).map { $0 + $1 } }

  /// Probabilities of every word piece at `mask`, each layer's activations there, and each layer's input.
  ///
  /// - Parameters:
  ///   - others: Each layer's input, of which every row that does not follow replaces the run's own.
  ///   - following: The rows that follow; that of `mask` does.
  func run(
    _ ids: [Int], mask: Int, change: Change? = nil, others: [Rows]? = nil, following: Set<Int> = []
  ) -> (probabilities: [Double], activations: Rows, inputs: [Rows]) {
    var activations: Rows = []
    var inputs: [Rows] = []
    var x: Rows = ids.enumerated().map { position, id in
      let parts = [
        weights.wordEmbeddings.row(id), weights.positionEmbeddings.row(position), weights.typeEmbeddings.row(0),
      ]
      return normalize(
        parts.map { $0.map(Double.init) }.reduce([Double](repeating: 0, count: parts[0].count), sum),
        weights.embeddingNorm)
    }
    let size = configuration.hiddenSize / configuration.headCount
    for (index, layer) in weights.layers.enumerated() {
      if let others { x = x.indices.map { $0 == mask || following.contains($0) ? x[$0] : others[index][$0] } }
      inputs.append(x)
      let queries = x.map { apply(layer.query, $0) }
      let keys = x.map { apply(layer.key, $0) }
      let values = x.map { apply(layer.value, $0) }
      x = x.indices.map { row in
        let context = (0..<configuration.headCount).flatMap { head -> [Double] in
          let columns = head * size..<(head + 1) * size
          let p = softmax(
            keys.map { key in
              columns.reduce(0) { $0 + queries[row][$1] * key[$1] } / Double(size).squareRoot()
            })
          return columns.map { column in p.indices.reduce(0) { $0 + p[$1] * values[$1][column] } }
        }
        let attended = normalize(sum(apply(layer.attentionOutput, context), x[row]), layer.attentionNorm)
        var activation = apply(layer.intermediate, attended).map(gelu)
        if row == mask {
          activations.append(activation)
          if let change, change.layer == index {
            activation = activation.map { $0 * change.factor }
            if let nudge = change.nudge { activation[nudge.index] += nudge.by }
          }
        }
        return normalize(sum(apply(layer.output, activation), attended), layer.outputNorm)
      }
    }
    let transformed = normalize(apply(weights.headTransform, x[mask]).map(gelu), weights.headNorm)
    let bias = weights.decoderBias.values
    let logits = bias.indices.map { id in
      zip(weights.wordEmbeddings.row(id), transformed).reduce(Double(bias[id])) { $0 + Double($1.0) * $1.1 }
    }
    return (softmax(logits), activations, inputs)
  }

  /// Attribution of one neuron: its activation times the weighted sum of ∂P/∂w at the nodes.
  ///
  /// - Parameter onlyMask: Whether every row but that of `mask` stays what it is without a change.
  func attribution(
    _ ids: [Int], mask: Int, answer: Int, layer: Int, index: Int, nodes: [Double], weights: [Double],
    onlyMask: Bool = false
  ) -> Double {
    let step = 1e-5
    let plain = run(ids, mask: mask)
    let activation = plain.activations[layer][index]
    let integral = zip(nodes, weights).reduce(0) { sum, node in
      func probability(_ by: Double) -> Double {
        run(
          ids, mask: mask, change: Change(layer: layer, factor: node.0, nudge: (index, by)),
          others: onlyMask ? plain.inputs : nil
        ).probabilities[answer]
      }
      return sum + node.1 * (probability(step) - probability(-step)) / (2 * step)
    }
    return activation * integral
  }
}
