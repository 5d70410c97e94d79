import Checkpoint
import Kernels

/// The rows of `[MASK]` that enter above each point's layer, with what their normalisation keeps.
struct PathEntries {
  /// `[points, hidden]`.
  let rows: Matrix
  private let unit: Matrix
  private let deviation: Matrix

  init(_ model: BERT, _ trace: ForwardPass, _ points: [PathPoint]) {
    rows = Matrix(rows: points.count, columns: model.hidden)
    unit = Matrix(unfilled: points.count, columns: model.hidden)
    deviation = Matrix(unfilled: points.count, columns: 1)
    for (index, point) in points.enumerated() {
      let row = rows.rows(index, count: 1)
      add(trace.products[point.layer].rows(point.prompt, count: 1), times: point.alpha, to: row)
      model.layer(point.layer).finishFeedForward(
        row, residual: trace.feedForwardInputs[point.layer].rows(point.prompt, count: 1),
        normalized: unit.rows(index, count: 1), deviation: deviation.rows(index, count: 1))
    }
  }

  /// Every point's prompt, one after the other.
  static func packing(_ trace: ForwardPass, _ points: [PathPoint]) -> Packing {
    var packing = Packing()
    for point in points {
      packing.append(
        length: trace.packing.lengths[point.prompt],
        mask: trace.packing.masks[point.prompt] - trace.packing.starts[point.prompt])
    }
    return packing
  }

  /// From the gradients of the rows `[points, hidden]`, which are used up, through normalisation and W2 to the activations
  /// `[points, intermediate]`.
  func activationGradients(_ model: BERT, _ points: [PathPoint], _ gradient: Matrix) -> Matrix {
    let result = Matrix(unfilled: points.count, columns: model.configuration.intermediateSize)
    var start = 0
    while start < points.count {
      let index = points[start].layer
      let count = points[start...].prefix { $0.layer == index }.count
      let weights = model.weights.layers[index]
      let own = gradient.rows(start, count: count)
      layerNormalizeBackward(
        own, scale: weights.outputNorm.scale, normalized: unit.rows(start, count: count),
        deviation: deviation.rows(start, count: count))
      weights.output.applyBackward(own, into: result.rows(start, count: count))
      start += count
    }
    return result
  }
}
