import Checkpoint
import Kernels

/// Gradients of P(answer) at points of attribution paths when only the row of `[MASK]` may follow.
///
/// Every other row stays in every layer what the traced pass made of it, so that a point costs one row instead of a whole
/// prompt. That is exact where a point enters below the last layer, where only `[MASK]` asks; further down what is missing is
/// what goes through the other rows and comes back.
struct MaskPathPass {
  /// ∂P/∂w at each point, `[points, intermediate]`, in the order of the points.
  let gradients: Matrix
  /// P(answer) at each point.
  let probabilities: [Float]

  /// - Parameters:
  ///   - trace: A traced pass of the prompts.
  ///   - points: The points, sorted by layer.
  ///   - answers: Word-piece id of each prompt's answer.
  init(_ model: BERT, trace: ForwardPass, points: [PathPoint], answers: [Int]) {
    precondition(zip(points, points.dropFirst()).allSatisfy { $0.layer <= $1.layer })
    let entries = PathEntries(model, trace, points)
    let packing = PathEntries.packing(trace, points)
    func count(below layer: Int) -> Int { points.firstIndex { $0.layer >= layer } ?? points.count }
    let states = Matrix(unfilled: points.count, columns: model.hidden)
    states.all.copy(from: entries.rows.all)
    let bottom = (points.first?.layer ?? model.layerCount) + 1
    var tapes: [LayerTape] = []
    for index in bottom..<max(bottom, model.layerCount) {
      let active = count(below: index)
      tapes.append(
        Self.up(model, trace, index, points: points, packing: packing, states: states.rows(0, count: active)))
    }
    let (probabilities, gradient) = model.head.probabilityGradient(states, points.map { answers[$0.prompt] })
    self.probabilities = probabilities
    for index in stride(from: model.layerCount - 1, through: bottom, by: -1) {
      guard let tape = tapes.popLast() else { break }
      let active = count(below: index)
      let rows = gradient.rows(0, count: active)
      let (queries, keys, values) = model.layer(index).backward(rows, tape)
      let masks = Array(packing.masks.prefix(active))
      model.layer(index).projectBackward(
        queryGradient: queries.all, keyGradient: ForwardPass.gather(keys.all, masks).all,
        valueGradient: ForwardPass.gather(values.all, masks).all, addingTo: rows)
    }
    gradients = entries.activationGradients(model, points, gradient)
  }

  private static func up(
    _ model: BERT, _ trace: ForwardPass, _ index: Int, points: [PathPoint], packing: Packing, states: Slice
  ) -> LayerTape {
    let layer = model.layer(index)
    let active = states.rows
    let rows = active < points.count ? packing.starts[active] : packing.rows
    func projected(_ projection: BERTWeights.Projection) -> Matrix {
      let result = Matrix(unfilled: active, columns: model.hidden)
      layer.project(states, projection, into: result.all)
      return result
    }
    func among(_ traced: Matrix, _ own: Matrix) -> Matrix {
      let result = Matrix(unfilled: rows, columns: model.hidden)
      for point in 0..<active {
        let source = points[point].prompt
        result.rows(packing.starts[point], count: packing.lengths[point]).copy(
          from: traced.rows(trace.packing.starts[source], count: packing.lengths[point]))
        result.rows(packing.masks[point], count: 1).copy(from: own.rows(point, count: 1))
      }
      return result
    }
    let queries = projected(layer.weights.query)
    let keys = among(trace.projections[index].keys, projected(layer.weights.key))
    let values = among(trace.projections[index].values, projected(layer.weights.value))
    let spans = Array(packing.maskSpans.prefix(active))
    let probabilities = Matrix(
      unfilled: 1, columns: model.configuration.headCount * AttentionSpan.probabilityCount(spans))
    let context = Matrix(unfilled: active, columns: model.hidden)
    layer.attend(
      queries: queries.all, keys: keys.all, values: values.all, spans: spans, probabilities: probabilities,
      into: context.all)
    let tape = layer.makeTape(rows: active)
    let output = Matrix(unfilled: active, columns: model.hidden)
    layer.finish(context: context.all, residual: states, tape: tape, into: output.all)
    states.copy(from: output.all)
    return LayerTape(
      queries: queries, keys: keys, values: values, spans: spans, probabilities: probabilities, tape: tape)
  }
}
