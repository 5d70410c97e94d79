import Checkpoint
import Kernels

/// Where points of paths enter a pass: the row of `[MASK]` above each point's layer, and the prompt around it.
struct PathEntries {
  /// The rows of `[MASK]`, `[points, hidden]`.
  let rows: Matrix
  /// Every point's prompt, one after the other.
  let packing: Packing
  private let trace: ForwardPass
  private let points: [PathPoint]
  private let unit: Matrix
  private let deviation: Matrix

  init(_ model: BERT, _ trace: ForwardPass, _ points: [PathPoint]) {
    self.trace = trace
    self.points = points
    var packing = Packing()
    rows = Matrix(rows: points.count, columns: model.hidden)
    unit = Matrix(unfilled: points.count, columns: model.hidden)
    deviation = Matrix(unfilled: points.count, columns: 1)
    for (index, point) in points.enumerated() {
      packing.append(
        length: trace.packing.lengths[point.prompt],
        mask: trace.packing.masks[point.prompt] - trace.packing.starts[point.prompt])
      let row = rows.rows(index, count: 1)
      add(trace.products[point.layer].rows(point.prompt, count: 1), times: point.alpha, to: row)
      model.layer(point.layer).finishFeedForward(
        row, residual: trace.feedForwardInputs[point.layer].rows(point.prompt, count: 1),
        normalized: unit.rows(index, count: 1), deviation: deviation.rows(index, count: 1))
    }
    self.packing = packing
  }

  /// Number of rows of the first `count` points' prompts.
  func rowCount(_ count: Int) -> Int { count < points.count ? packing.starts[count] : packing.rows }

  /// Goes through the points whose prompts lie in the first `rows` rows, with where each starts here and in the traced pass.
  func forEachPrompt(rows: Int, _ body: (_ start: Int, _ tracedStart: Int, _ count: Int) -> Void) {
    for (index, point) in points.enumerated() where packing.starts[index] < rows {
      body(packing.starts[index], trace.packing.starts[point.prompt], packing.lengths[index])
    }
  }

  /// Writes the traced rows of some points' prompts, and over each `[MASK]` the point's own row.
  ///
  /// - Parameters:
  ///   - range: The points.
  ///   - traced: Of the traced pass, `[traced rows, hidden]`.
  ///   - masks: The points' own rows, `[points of the range, hidden]`.
  ///   - result: Receives them where ``packing`` has the prompts.
  func place(_ range: Range<Int>, traced: Matrix, masks: Slice, into result: Matrix) {
    for point in range {
      let (start, length) = (packing.starts[point], packing.lengths[point])
      result.rows(start, count: length).copy(
        from: traced.rows(trace.packing.starts[points[point].prompt], count: length))
      result.rows(packing.masks[point], count: 1).copy(from: masks.row(point - range.lowerBound))
    }
  }

  /// From the gradients of the rows `[points, hidden]`, which are used up, through normalisation and W2 to the activations
  /// `[points, intermediate]`.
  func activationGradients(_ model: BERT, _ gradient: Matrix) -> Matrix {
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
