import Checkpoint
import Kernels

/// One point of an attribution path: all activations of one layer at `[MASK]`, scaled by α.
struct PathPoint: Sendable {
  /// Index of the prompt in the traced forward pass.
  let prompt: Int
  /// The scaled layer, from 0.
  let layer: Int
  /// The scale.
  let alpha: Float
  /// Which rows follow.
  let following: FollowingRows
}

/// Where points of paths enter a pass: the row of `[MASK]` above each point's layer, and the prompt around it.
struct PathEntries {
  /// The rows of `[MASK]`, `[points, hidden]`.
  let rows: Matrix
  /// The rows of each point that follow, all of its prompt's or that of `[MASK]`.
  let own: Packing
  /// The rows that each point's own ones ask: its prompt's.
  let asked: Packing
  private let trace: ForwardPass
  private let points: [PathPoint]
  private let unit: Matrix
  private let deviation: Matrix

  init(_ model: BERT, _ trace: ForwardPass, _ points: [PathPoint]) {
    self.trace = trace
    self.points = points
    var (own, asked) = (Packing(), Packing())
    rows = Matrix(rows: points.count, columns: model.hidden)
    unit = Matrix(unfilled: points.count, columns: model.hidden)
    deviation = Matrix(unfilled: points.count, columns: 1)
    for (index, point) in points.enumerated() {
      let length = trace.packing.lengths[point.prompt]
      let mask = trace.packing.masks[point.prompt] - trace.packing.starts[point.prompt]
      asked.append(length: length, mask: mask)
      switch point.following {
      case .prompt: own.append(length: length, mask: mask)
      case .mask: own.append(length: 1, mask: 0)
      }
      let row = rows.rows(index, count: 1)
      add(trace.products[point.layer].rows(point.prompt, count: 1), times: point.alpha, to: row)
      model.layer(point.layer).finishFeedForward(
        row, residual: trace.feedForwardInputs[point.layer].rows(point.prompt, count: 1),
        normalized: unit.rows(index, count: 1), deviation: deviation.rows(index, count: 1))
    }
    (self.own, self.asked) = (own, asked)
  }

  /// How many points enter below a layer.
  func count(below layer: Int) -> Int { points.firstIndex { $0.layer >= layer } ?? points.count }

  /// The first of some points of which the whole prompt follows, or their end.
  func firstWhole(of range: Range<Int>) -> Int {
    range.first { points[$0].following == .prompt } ?? range.upperBound
  }

  /// Whom the own rows of the first `count` points ask, or only their masks', packed one row a point.
  func spans(_ count: Int, onlyMasks: Bool) -> [AttentionSpan] {
    AttentionSpan.consecutive(
      (0..<count).map { point in
        let (start, length) = onlyMasks ? (point, 1) : (own.starts[point], own.lengths[point])
        return (start, length, asked.starts[point], asked.lengths[point])
      })
  }

  /// Rows of one point's whole prompt: where they start among own rows, among those of such points alone, and in the traced pass.
  typealias PromptRows = (point: Int, start: Int, startAmongPrompts: Int, tracedStart: Int, count: Int)

  /// The points, among those with own rows before `rows`, of which whole prompts follow.
  func prompts(rows: Int) -> [PromptRows] {
    var result: [PromptRows] = []
    var among = 0
    for (index, point) in points.enumerated() where own.starts[index] < rows && point.following == .prompt {
      result.append((index, own.starts[index], among, trace.packing.starts[point.prompt], own.lengths[index]))
      among += own.lengths[index]
    }
    return result
  }

  /// Writes some points' own rows: the traced ones, and over each `[MASK]` the point's.
  ///
  /// - Parameters:
  ///   - range: The points.
  ///   - traced: Of the traced pass, `[traced rows, hidden]`.
  ///   - masks: The points' rows of `[MASK]`, `[points of the range, hidden]`.
  ///   - result: Receives them where ``own`` has them.
  func place(_ range: Range<Int>, traced: Matrix, masks: Slice, into result: Matrix) {
    for point in range {
      if points[point].following == .prompt {
        result.rows(own.starts[point], count: own.lengths[point]).copy(
          from: traced.rows(trace.packing.starts[points[point].prompt], count: own.lengths[point]))
      }
      result.rows(own.masks[point], count: 1).copy(from: masks.row(point - range.lowerBound))
    }
  }

  /// The rows that the first `count` points ask, `[asked rows, hidden]`: their own ones, and traced ones where these do not
  /// follow.
  func surrounded(_ rows: Matrix, _ count: Int, traced: Matrix) -> Matrix {
    guard points.prefix(count).contains(where: { $0.following == .mask }) else { return rows }
    let result = Matrix(unfilled: asked.rows(of: count), columns: rows.columns)
    for point in 0..<count {
      let (start, length) = (asked.starts[point], asked.lengths[point])
      switch points[point].following {
      case .prompt:
        result.rows(start, count: length).copy(from: rows.rows(own.starts[point], count: length))
      case .mask:
        result.rows(start, count: length).copy(
          from: traced.rows(trace.packing.starts[points[point].prompt], count: length))
        result.rows(asked.masks[point], count: 1).copy(from: rows.rows(own.starts[point], count: 1))
      }
    }
    return result
  }

  /// Of the gradients of rows that the first `count` points asked, those of their own rows, `[own rows, hidden]`.
  func ownRows(_ asked: Matrix, _ count: Int) -> Matrix {
    guard points.prefix(count).contains(where: { $0.following == .mask }) else { return asked }
    let result = Matrix(unfilled: own.rows(of: count), columns: asked.columns)
    for point in 0..<count {
      let start = points[point].following == .prompt ? self.asked.starts[point] : self.asked.masks[point]
      result.rows(own.starts[point], count: own.lengths[point]).copy(
        from: asked.rows(start, count: own.lengths[point]))
    }
    return result
  }

  /// From the gradients of the rows `[points, hidden]`, which are used up, through normalisation and W2 to the activations
  /// `[points, intermediate]`.
  func activationGradients(_ model: BERT, _ gradient: Matrix) -> Matrix {
    let result = Matrix(unfilled: points.count, columns: model.configuration.intermediateSize)
    var start = 0
    while start < points.count {
      let index = points[start].layer
      let count = points[start...].prefix { $0.layer == index }.count
      let layer = model.layer(index)
      let own = gradient.rows(start, count: count)
      layerNormalizeBackward(
        own, scale: layer.weights.outputNorm.scale, normalized: unit.rows(start, count: count),
        deviation: deviation.rows(start, count: count))
      layer.products.applyBackward(.output, own, into: result.rows(start, count: count), accumulating: false)
      start += count
    }
    return result
  }
}
