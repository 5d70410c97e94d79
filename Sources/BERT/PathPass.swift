import Checkpoint
import Kernels

/// Gradients of P(answer) with respect to a layer's activations at many points of many paths, in one pass.
///
/// Nothing below a scaled layer is recomputed: a point enters at the layer above it, where only the row of `[MASK]`
/// differs from the traced pass, and goes up together with the points of all lower layers, so that each weight
/// matrix is read once per layer. In the last layer only `[MASK]` asks. Gradients then come down the same way, to
/// activations only. Points of which `[MASK]` alone follows take one row each beside those of whole prompts.
/// - Complexity: with n pieces and P points per layer, about `24 · n · H² · P · L² / 2` multiply-adds both ways together.
struct PathPass {
  /// ∂P/∂w at each point, `[points, intermediate]`, in the order of the points.
  let gradients: Matrix
  /// P(answer) at each point.
  let probabilities: [Float]

  /// - Parameters:
  ///   - trace: A traced pass of the prompts.
  ///   - points: The points, sorted by layer, and in each layer those first of which `[MASK]` alone follows.
  ///   - answers: Word-piece id of each prompt's answer.
  ///   - rounded: Where given, rows other than those of `[MASK]` are multiplied by these, and the decoder's products are made with
  ///     them; the traced pass has to have recorded its products.
  init(
    _ model: BERT, trace: ForwardPass, points: [PathPoint], answers: [Int], rounded: RoundedWeights? = nil
  ) {
    precondition(zip(points, points.dropFirst()).allSatisfy { ($0.layer, $0.following) <= ($1.layer, $1.following) })
    let hidden = model.hidden
    let last = model.layerCount - 1
    let entries = PathEntries(model, trace, points)

    func step(_ index: Int) -> Step {
      var layer = model.layer(index)
      let (active, continuing) = (entries.count(below: index), entries.count(below: index - 1))
      var joint = entries.firstWhole(of: continuing..<active)
      if let rounded {
        // Rounded products of all rows cost less than one more exact product of those that entered.
        joint = active
        if let traced = trace.products(of: index) {
          layer.products = RoundedProducts(
            exact: model.exactProducts(of: index), weights: rounded.layers[index], traced: traced,
            entries: entries, continuing: continuing)
        }
      }
      return Step(
        layer: layer, entries: entries, isLast: index == last, active: active, continuing: continuing, joint: joint)
    }

    var tapes: [Int: LayerTape] = [:]
    var carried = Matrix(rows: 0, columns: hidden)
    let states = Matrix(rows: points.count, columns: hidden)
    let bottom = (points.first?.layer ?? last) + 1
    for index in stride(from: bottom, through: last, by: 1) {
      let step = step(index)
      let (output, tape) = step.up(
        carried, traced: trace.projections[index], tracedInput: trace.inputs[index])
      tapes[index] = tape
      if index == last {
        states.rows(0, count: step.active).copy(from: output.all)
      } else {
        carried = output
      }
    }
    let direct = entries.count(below: last)
    states.rows(direct, count: points.count - direct).copy(
      from: entries.rows.rows(direct, count: points.count - direct))

    var decoder: RoundedDecoder?
    if let rounded, let traced = trace.decoded {
      decoder = RoundedDecoder(
        head: model.head, parts: rounded.decoder, traced: traced, prompts: points.map(\.prompt))
    }
    let (probabilities, gradient) = model.head.probabilityGradient(
      states, points.map { answers[$0.prompt] }, rounded: decoder)
    self.probabilities = probabilities
    let entryGradient = Matrix(rows: points.count, columns: hidden)
    entryGradient.rows(direct, count: points.count - direct).copy(
      from: gradient.rows(direct, count: points.count - direct))
    var above = gradient.rows(0, count: direct)
    for index in stride(from: last, through: bottom, by: -1) {
      guard let tape = tapes.removeValue(forKey: index) else { break }
      let step = step(index)
      let below = step.down(above, tape, entryGradient: entryGradient.all)
      above = below.rows(0, count: entries.own.rows(of: step.continuing))
    }
    gradients = entries.activationGradients(model, entryGradient)
  }

  /// One layer of a pass: the first `continuing` points come from the layer below, the others, up to `active`, enter here.
  private struct Step {
    let layer: EncoderLayer
    let entries: PathEntries
    let isLast: Bool
    let active: Int
    let continuing: Int
    /// Own rows of so many points are multiplied together; of the rest, which enter as whole prompts, only the rows of
    /// `[MASK]` differ from traced ones and need to be.
    let joint: Int

    private var entering: Slice { entries.rows.rows(continuing, count: active - continuing) }
    /// The rows of `[MASK]` of the points after ``joint``.
    private var apart: Slice { entries.rows.rows(joint, count: active - joint) }

    /// Upwards, from the rows of the points that continue.
    func up(
      _ carried: Matrix, traced: (queries: Matrix?, keys: Matrix, values: Matrix), tracedInput: Matrix
    ) -> (Matrix, LayerTape) {
      let hidden = carried.columns
      let input = Matrix(unfilled: entries.own.rows(of: active), columns: hidden)
      input.rows(0, count: carried.rows).copy(from: carried.all)
      entries.place(continuing..<active, traced: tracedInput, masks: entering, into: input)
      func projected(_ matrix: LayerMatrix, traced: Matrix) -> Matrix {
        let result = Matrix(unfilled: input.rows, columns: hidden)
        let count = entries.own.rows(of: joint)
        layer.project(input.rows(0, count: count), matrix, into: result.rows(0, count: count))
        guard joint < active else { return result }
        let masks = Matrix(unfilled: active - joint, columns: hidden)
        layer.project(apart, matrix, into: masks.all)
        entries.place(joint..<active, traced: traced, masks: masks.all, into: result)
        return result
      }
      let residual = isLast ? ForwardPass.gather(input.all, Array(entries.own.masks.prefix(active))) : input
      let queries: Matrix
      if let tracedQueries = traced.queries {
        queries = projected(.query, traced: tracedQueries)
      } else {
        queries = Matrix(unfilled: active, columns: hidden)
        layer.project(residual.all, .query, into: queries.all)
      }
      return layer.forward(
        queries: queries, keys: projected(.key, traced: traced.keys), values: projected(.value, traced: traced.values),
        residual: residual.all, spans: entries.spans(active, onlyMasks: isLast),
        lone: entries.loneMasks(active, onlyMasks: isLast, keys: traced.keys, values: traced.values), keepsTape: true)
    }

    /// Downwards: returns the gradient of the joint rows, those that came from below first, and writes that of the rows that
    /// entered into `entryGradient`.
    func down(_ gradient: Slice, _ tape: LayerTape, entryGradient: Slice) -> Matrix {
      let (queryGradient, keyGradient, valueGradient) = layer.backward(gradient, tape)
      let count = entries.own.rows(of: joint)
      let below = Matrix(rows: count, columns: gradient.columns)
      if isLast {
        // Only the masks asked, so what came back through queries and residual belongs to their rows.
        layer.products.applyBackward(.query, queryGradient.all, into: gradient, accumulating: true)
        for point in 0..<joint { below.rows(entries.own.masks[point], count: 1).copy(from: gradient.row(point)) }
      } else {
        below.all.copy(from: gradient.rows(0, count: count))
      }
      layer.projectBackward(
        queryGradient: isLast ? nil : queryGradient.rows(0, count: count),
        keyGradient: keyGradient.rows(0, count: count), valueGradient: valueGradient.rows(0, count: count),
        addingTo: below.all)
      for point in continuing..<joint {
        entryGradient.rows(point, count: 1).copy(from: below.rows(entries.own.masks[point], count: 1))
      }
      guard joint < active else { return below }
      let masks = Array(entries.own.masks[joint..<active])
      let entered = entryGradient.rows(joint, count: active - joint)
      if isLast {
        entered.copy(from: gradient.rows(joint, count: active - joint))
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
}
