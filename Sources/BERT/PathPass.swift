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
}

/// Gradients of P(answer) with respect to a layer's activations at many points of many paths, in one pass.
///
/// Nothing below a scaled layer is recomputed: a point enters at the layer above it, where only the row of `[MASK]`
/// differs from the traced pass, and goes up together with the points of all lower layers, so that each weight
/// matrix is read once per layer. In the last layer only `[MASK]` asks. Gradients then come down the same way, to
/// activations only.
/// - Complexity: with n pieces and P points per layer, about `24 · n · H² · P · L² / 2` multiply-adds both ways together.
struct PathPass {
  /// ∂P/∂w at each point, `[points, intermediate]`, in the order of the points.
  let gradients: Matrix
  /// P(answer) at each point.
  let probabilities: [Float]

  /// - Parameters:
  ///   - trace: A traced pass of the prompts.
  ///   - points: The points, sorted by layer.
  ///   - answers: Word-piece id of each prompt's answer.
  ///   - rounded: Where given, rows other than those of `[MASK]` are multiplied by these; the traced pass has to have recorded
  ///     its products.
  init(
    _ model: BERT, trace: ForwardPass, points: [PathPoint], answers: [Int], rounded: RoundedWeights? = nil
  ) {
    precondition(zip(points, points.dropFirst()).allSatisfy { $0.layer <= $1.layer })
    let hidden = model.hidden
    let last = model.layerCount - 1
    let entries = PathEntries(model, trace, points)
    let packing = entries.packing
    func count(below layer: Int) -> Int { points.firstIndex { $0.layer >= layer } ?? points.count }
    func rows(_ count: Int) -> Int { entries.rowCount(count) }

    func layer(_ index: Int) -> EncoderLayer {
      var layer = model.layer(index)
      if let rounded, let traced = trace.products(of: index) {
        layer.products = RoundedProducts(
          exact: ExactProducts(weights: layer.weights), weights: rounded.layers[index], traced: traced, entries: entries
        )
      }
      return layer
    }

    var tapes: [Int: LayerTape] = [:]
    var carried = Matrix(rows: 0, columns: hidden)
    let states = Matrix(rows: points.count, columns: hidden)
    let bottom = (points.first?.layer ?? last) + 1
    for index in stride(from: bottom, through: last, by: 1) {
      let active = count(below: index)
      let continuing = count(below: index - 1)
      let input = Matrix(unfilled: rows(active), columns: hidden)
      input.rows(0, count: carried.rows).copy(from: carried.all)
      let (output, tape) = Self.up(
        layer(index), trace, index, entries, isRounded: rounded != nil, input: input, continuing: continuing,
        active: active)
      tapes[index] = tape
      if index == last {
        states.rows(0, count: active).copy(from: output.all)
      } else {
        carried = output
      }
    }
    let direct = count(below: last)
    states.rows(direct, count: points.count - direct).copy(
      from: entries.rows.rows(direct, count: points.count - direct))

    let (probabilities, gradient) = model.head.probabilityGradient(states, points.map { answers[$0.prompt] })
    self.probabilities = probabilities
    let entryGradient = Matrix(rows: points.count, columns: hidden)
    entryGradient.rows(direct, count: points.count - direct).copy(
      from: gradient.rows(direct, count: points.count - direct))
    var above = gradient.rows(0, count: direct)
    for index in stride(from: last, through: bottom, by: -1) {
      guard let tape = tapes.removeValue(forKey: index) else { break }
      let active = count(below: index)
      let continuing = count(below: index - 1)
      let below = Self.down(
        layer(index), isLast: index == last, isRounded: rounded != nil, tape: tape, gradient: above, packing: packing,
        continuing: continuing, active: active, rows: rows, entryGradient: entryGradient.all)
      above = below.rows(0, count: rows(continuing))
    }
    gradients = entries.activationGradients(model, entryGradient)
  }

  /// One layer upwards: points below `continuing` come from the layer below, the others enter here.
  private static func up(
    _ layer: EncoderLayer, _ trace: ForwardPass, _ index: Int, _ entries: PathEntries, isRounded: Bool, input: Matrix,
    continuing: Int, active: Int
  ) -> (Matrix, LayerTape) {
    let hidden = input.columns
    let packing = entries.packing
    let traced = trace.projections[index]
    let isLast = traced.queries == nil
    let carriedRows = entries.rowCount(continuing)
    let entering = entries.rows.rows(continuing, count: active - continuing)
    entries.place(continuing..<active, traced: trace.inputs[index], masks: entering, into: input)
    func projected(_ matrix: LayerMatrix, traced: Matrix) -> Matrix {
      let result = Matrix(unfilled: input.rows, columns: hidden)
      if isRounded {
        layer.project(input.all, matrix, into: result.all)
        return result
      }
      layer.project(input.rows(0, count: carriedRows), matrix, into: result.rows(0, count: carriedRows))
      let masks = Matrix(unfilled: entering.rows, columns: hidden)
      layer.project(entering, matrix, into: masks.all)
      entries.place(continuing..<active, traced: traced, masks: masks.all, into: result)
      return result
    }
    let residual = isLast ? ForwardPass.gather(input.all, Array(packing.masks.prefix(active))) : input
    let queries: Matrix
    if let tracedQueries = traced.queries {
      queries = projected(.query, traced: tracedQueries)
    } else {
      queries = Matrix(unfilled: active, columns: hidden)
      layer.project(residual.all, .query, into: queries.all)
    }
    return layer.forward(
      queries: queries, keys: projected(.key, traced: traced.keys), values: projected(.value, traced: traced.values),
      residual: residual.all, spans: Array((isLast ? packing.maskSpans : packing.spans).prefix(active)),
      keepsTape: true)
  }

  /// One layer downwards: returns the gradient of the rows that came from below first, and writes that of the rows that
  /// entered into `entryGradient`.
  private static func down(
    _ layer: EncoderLayer, isLast: Bool, isRounded: Bool, tape: LayerTape, gradient: Slice, packing: Packing,
    continuing: Int, active: Int, rows: (Int) -> Int, entryGradient: Slice
  ) -> Matrix {
    let (queryGradient, keyGradient, valueGradient) = layer.backward(gradient, tape)
    // Rounded products of all rows cost less than one more exact product of those that entered.
    let points = isRounded ? active : continuing
    let count = rows(points)
    let below = Matrix(rows: count, columns: gradient.columns)
    if isLast {
      // Only the masks asked, so what came back through queries and residual belongs to their rows.
      layer.products.applyBackward(.query, queryGradient.all, into: gradient, accumulating: true)
      for point in 0..<points { below.rows(packing.masks[point], count: 1).copy(from: gradient.row(point)) }
    } else {
      below.all.copy(from: gradient.rows(0, count: count))
    }
    layer.projectBackward(
      queryGradient: isLast ? nil : queryGradient.rows(0, count: count), keyGradient: keyGradient.rows(0, count: count),
      valueGradient: valueGradient.rows(0, count: count), addingTo: below.all)
    let masks = Array(packing.masks[continuing..<active])
    let entered = entryGradient.rows(continuing, count: active - continuing)
    if isRounded {
      entered.copy(from: ForwardPass.gather(below.all, masks).all)
      return below
    }
    if isLast {
      entered.copy(from: gradient.rows(continuing, count: active - continuing))
    } else {
      entered.copy(from: ForwardPass.gather(gradient, masks).all)
    }
    layer.projectBackward(
      queryGradient: isLast ? nil : ForwardPass.gather(queryGradient.all, masks).all,
      keyGradient: ForwardPass.gather(keyGradient.all, masks).all,
      valueGradient: ForwardPass.gather(valueGradient.all, masks).all, addingTo: entered)
    return below
  }
}
