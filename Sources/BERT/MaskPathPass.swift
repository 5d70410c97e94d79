import Checkpoint
import Kernels

/// Gradients of P(answer) at points of attribution paths when only the row of `[MASK]` may follow.
///
/// Every other row stays in every layer what the traced pass made of it, so that a point costs one row instead of a whole
/// prompt. In the model's last two layers that changes nothing, because above the last but one only `[MASK]` asks; further
/// down, what goes through other rows and comes back is missing.
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
    let packing = entries.packing
    func count(below layer: Int) -> Int { points.firstIndex { $0.layer >= layer } ?? points.count }
    let states = Matrix(unfilled: points.count, columns: model.hidden)
    states.all.copy(from: entries.rows.all)
    let bottom = (points.first?.layer ?? model.layerCount) + 1
    var tapes: [LayerTape] = []
    for index in bottom..<max(bottom, model.layerCount) {
      tapes.append(Self.up(model, trace, index, entries, states: states.rows(0, count: count(below: index))))
    }
    let (probabilities, gradient) = model.head.probabilityGradient(states, points.map { answers[$0.prompt] })
    self.probabilities = probabilities
    for index in stride(from: model.layerCount - 1, through: bottom, by: -1) {
      guard let tape = tapes.popLast() else { break }
      let active = count(below: index)
      let below = model.layer(index).backwardToInput(
        gradient.rows(0, count: active), tape, rows: Array(packing.masks.prefix(active)))
      gradient.rows(0, count: active).copy(from: below.all)
    }
    gradients = entries.activationGradients(model, gradient)
  }

  /// One layer upwards of the rows of `[MASK]` `[active points, hidden]`, in place.
  private static func up(
    _ model: BERT, _ trace: ForwardPass, _ index: Int, _ entries: PathEntries, states: Slice
  ) -> LayerTape {
    let layer = model.layer(index)
    let active = states.rows
    func projected(_ matrix: LayerMatrix) -> Matrix {
      let result = Matrix(unfilled: active, columns: model.hidden)
      layer.project(states, matrix, into: result.all)
      return result
    }
    func projected(_ matrix: LayerMatrix, among traced: Matrix) -> Matrix {
      let result = Matrix(unfilled: entries.rowCount(active), columns: model.hidden)
      entries.place(0..<active, traced: traced, masks: projected(matrix).all, into: result)
      return result
    }
    let traced = trace.projections[index]
    let (output, kept) = layer.forward(
      queries: projected(.query), keys: projected(.key, among: traced.keys),
      values: projected(.value, among: traced.values), residual: states,
      spans: Array(entries.packing.maskSpans.prefix(active)), keepsTape: true)
    states.copy(from: output.all)
    return kept
  }
}
