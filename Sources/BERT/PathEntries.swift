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
  private let trace: ForwardPass
  private let points: [PathPoint]
  private let unit: Matrix
  private let deviation: Matrix

  init(_ model: BERT, _ trace: ForwardPass, _ points: [PathPoint]) {
    self.trace = trace
    self.points = points
    var own = Packing()
    rows = Matrix(rows: points.count, columns: model.hidden)
    unit = Matrix(unfilled: points.count, columns: model.hidden)
    deviation = Matrix(unfilled: points.count, columns: 1)
    for (index, point) in points.enumerated() {
      let length = trace.packing.lengths[point.prompt]
      let mask = trace.packing.masks[point.prompt] - trace.packing.starts[point.prompt]
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
    self.own = own
  }

  /// How many points enter below a layer.
  func count(below layer: Int) -> Int { points.firstIndex { $0.layer >= layer } ?? points.count }

  /// The first of some points of which the whole prompt follows, or their end.
  func firstWhole(of range: Range<Int>) -> Int {
    range.first { points[$0].following == .prompt } ?? range.upperBound
  }

  /// Whom the own rows of those of the first `count` points ask of which whole prompts follow, or only their masks', packed one
  /// row a point.
  func spans(_ count: Int, onlyMasks: Bool) -> [AttentionSpan] {
    AttentionSpan.consecutive(
      (0..<count).filter { points[$0].following == .prompt }.map { point in
        let (start, length) = onlyMasks ? (point, 1) : (own.starts[point], own.lengths[point])
        return (start, length, own.starts[point], own.lengths[point])
      })
  }

  /// Those of the first `count` points of which `[MASK]` alone follows; nil for none.
  ///
  /// - Parameters:
  ///   - count: The points.
  ///   - onlyMasks: Whether queries are packed one row a point.
  ///   - keys: The traced keys, `[traced rows, hidden]`.
  ///   - values: The traced values, `[traced rows, hidden]`.
  func loneMasks(_ count: Int, onlyMasks: Bool, keys: Matrix, values: Matrix) -> LoneMasks? {
    let lone = (0..<count).filter { points[$0].following == .mask }.sorted {
      (points[$0].prompt, $0) < (points[$1].prompt, $1)
    }
    guard !lone.isEmpty else { return nil }
    var prompts: [LoneMasks.Prompt] = []
    var (first, probabilities) = (0, 0)
    while first < lone.count {
      let prompt = points[lone[first]].prompt
      let rows = first..<first + lone[first...].prefix { points[$0].prompt == prompt }.count
      let (start, length) = (trace.packing.starts[prompt], trace.packing.lengths[prompt])
      prompts.append(
        LoneMasks.Prompt(
          rows: rows, keyStart: start, keyCount: length, mask: trace.packing.masks[prompt] - start,
          probabilityStart: probabilities))
      probabilities += rows.count * length
      first = rows.upperBound
    }
    return LoneMasks(
      prompts: prompts, queryRows: onlyMasks ? lone : lone.map { own.masks[$0] }, ownRows: lone.map { own.masks[$0] },
      keys: keys, values: values)
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
