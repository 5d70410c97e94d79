import Checkpoint
import Kernels

/// Packed prompts that wait at the feed-forward product of the lowest edited layer.
///
/// Written while it is made, before it is shared, hence safe to share between threads.
struct Stage: @unchecked Sendable {
  /// Slots of one layer and how far they have moved, `[slots, hidden]`.
  ///
  /// Only read once it is made, hence safe to share between threads.
  struct Move: @unchecked Sendable {
    let indices: [Int]
    let delta: Matrix
  }

  /// What the way down needs of the way up.
  struct Ascent {
    /// x̂ and deviation of the lowest layer's last normalisation.
    let unit: Matrix
    let deviation: Matrix
    /// Per layer above the lowest.
    var tapes: [Int: LayerTape] = [:]
    /// Activations of the moved slots per layer, `[rows that follow, slots]`, in the last layer `[prompts, slots]`.
    var keys: [Int: Matrix] = [:]
  }

  let packing: Packing
  /// The lowest edited layer, from 0.
  private let lowest: Int
  /// The final states at the masks while nothing has moved, `[prompts, hidden]`.
  let states: Matrix
  /// The activations at the masks of the lowest layer and those above, `[prompts, intermediate]` each.
  private(set) var atMasks: [Matrix]
  /// The activations of whole layers, `[rows, intermediate]` each: of the lowest, in the last layer at the masks only, and of
  /// others that were asked for.
  private var activations: [Int: Matrix]

  /// The rows that follow.
  private let followed: FollowedRows
  /// The feed-forward block's input in the lowest layer at the rows that follow, `[rows, hidden]`; in the last layer at the
  /// masks.
  private let input: Matrix
  /// Activations · W2 there, before bias and residual, `[rows, hidden]`.
  private let product: Matrix
  /// Keys and values of every row in the layers above the lowest; empty where all rows follow.
  private let attended: [Int: (keys: Matrix, values: Matrix)]

  init(_ model: BERT, _ prompts: [EncodedPrompt], lowest: Int, whole: [Int], following: FollowedPieces) {
    var packing = Packing()
    for prompt in prompts { packing.append(length: prompt.ids.count, mask: prompt.mask) }
    self.packing = packing
    self.lowest = lowest
    let followed = FollowedRows(following, of: prompts, packing)
    self.followed = followed
    let last = model.layerCount - 1
    var x = ForwardPass.embed(model, prompts, packing)
    for index in 0..<lowest { x = model.layer(index).forward(x, packing, isLast: false, keepsTape: false).output }
    var input = Matrix(rows: 0, columns: 0)
    var product = Matrix(rows: 0, columns: 0)
    var all: [Int: Matrix] = [:]
    var atMasks: [Matrix] = []
    var attended: [Int: (keys: Matrix, values: Matrix)] = [:]
    for index in lowest...last {
      func ofFollowed(_ rows: Slice) -> Matrix { index == last ? copy(rows) : followed.gather(rows) }
      let (output, kept) = model.layer(index).forward(
        x, packing, isLast: index == last, keepsTape: false,
        activations: { rows, activations in
          if index == lowest { input = ofFollowed(rows) }
          if index == lowest || whole.contains(index) { all[index] = copy(activations) }
          atMasks.append(
            ForwardPass.gather(activations, index == last ? Array(0..<packing.count) : packing.masks))
        }, product: { if index == lowest { product = ofFollowed($0) } })
      if index > lowest, followed.rows != nil { attended[index] = (kept.keys, kept.values) }
      x = output
    }
    (self.input, self.product, self.attended) = (input, product, attended)
    (self.activations, self.atMasks, states) = (all, atMasks, x)
  }

  /// The same without activations, which only the choice of neurons and ``keys(of:in:)`` look at.
  var withoutActivations: Stage {
    var result = self
    (result.atMasks, result.activations) = ([], [:])
    return result
  }

  /// The activations of a layer that is known in whole, `[rows, intermediate]`.
  func whole(_ layer: Int) -> Matrix {
    guard let found = activations[layer] else { preconditionFailure("Layer \(layer) is not known in whole.") }
    return found
  }

  /// Activations of the lowest layer's slots at the rows that follow, `[rows, slots]`; in the last layer at the masks.
  func keys(of slots: [Int], in model: BERT) -> Matrix {
    let keys = gatherColumns(whole(lowest).all, slots)
    return lowest == model.layerCount - 1 ? keys : followed.gather(keys.all)
  }

  /// From the lowest layer's sum to the final states at the masks, `[prompts, hidden]`.
  ///
  /// - Parameter keys: Of the lowest layer, as ``keys(of:in:)`` gives them.
  func up(_ model: BERT, _ moves: [Int: Move], keys: Matrix) -> (states: Matrix, ascent: Ascent) {
    var ascent = Ascent(
      unit: Matrix(rows: input.rows, columns: model.hidden), deviation: Matrix(rows: input.rows, columns: 1))
    var x = copy(product.all)
    if let move = moves[lowest] {
      multiply(keys.all, move.delta.all, into: x.all, accumulating: true)
      ascent.keys[lowest] = keys
    }
    model.layer(lowest).finishFeedForward(
      x.all, residual: input.all, normalized: ascent.unit.all, deviation: ascent.deviation.all)
    for index in (lowest + 1)..<max(lowest + 1, model.layerCount) {
      let layer = model.layer(index)
      let isLast = index == model.layerCount - 1
      let move = moves[index]
      let asking = isLast ? ForwardPass.gather(x.all, followed.masks) : x
      func projected(_ matrix: LayerMatrix, _ rows: Matrix) -> Matrix {
        let result = Matrix(unfilled: rows.rows, columns: model.hidden)
        layer.project(rows.all, matrix, into: result.all)
        return result
      }
      let (above, tape) = layer.forward(
        queries: projected(.query, asking), keys: followed.place(projected(.key, x), among: attended[index]?.keys),
        values: followed.place(projected(.value, x), among: attended[index]?.values), residual: asking.all,
        spans: isLast ? packing.maskSpans : followed.spans, keepsTape: true,
        activations: { _, activations in
          if let move { ascent.keys[index] = gatherColumns(activations, move.indices) }
        },
        product: { rows in
          if let move, let keys = ascent.keys[index] {
            multiply(keys.all, move.delta.all, into: rows, accumulating: true)
          }
        })
      ascent.tapes[index] = tape
      x = above
    }
    return (x, ascent)
  }

  /// From the gradient of the final states, which is used up, to those of the slots, per layer `[slots, hidden]`.
  func down(_ model: BERT, _ moves: [Int: Move], _ gradient: Matrix, _ ascent: Ascent) -> [Int: Matrix] {
    var result: [Int: Matrix] = [:]
    func take(_ layer: Int, _ output: Slice) {
      guard let keys = ascent.keys[layer] else { return }
      let sums = Matrix(rows: keys.columns, columns: output.columns)
      multiply(keys.all, transposingA: true, output, into: sums.all)
      result[layer] = sums
    }
    var gradient = gradient
    for index in stride(from: model.layerCount - 1, to: lowest, by: -1) {
      guard let tape = ascent.tapes[index] else { break }
      gradient = model.layer(index).backwardToInput(
        gradient.all, tape, rows: followed.rows, asking: index == model.layerCount - 1 ? followed.masks : nil
      ) { output, activations in
        take(index, output)
        guard let move = moves[index] else { return }
        // W2 as the model holds it lacks what the slots have moved.
        let missing = Matrix(rows: output.rows, columns: move.indices.count)
        multiply(output, move.delta.all, transposingB: true, into: missing.all)
        add(missing.all, toColumns: move.indices, of: activations)
      }
    }
    layerNormalizeBackward(
      gradient.all, scale: model.weights.layers[lowest].outputNorm.scale, normalized: ascent.unit.all,
      deviation: ascent.deviation.all)
    take(lowest, gradient.all)
    return result
  }
}

/// The rows of packed prompts that follow a change.
private struct FollowedRows {
  /// Which rows, in order; nil for all.
  let rows: [Int]?
  /// Where each prompt's mask is among them.
  let masks: [Int]
  /// Whom they ask, each the rows of its own prompt.
  let spans: [AttentionSpan]

  init(_ following: FollowedPieces, of prompts: [EncodedPrompt], _ packing: Packing) {
    guard following == .edited else {
      (rows, masks, spans) = (nil, packing.masks, packing.spans)
      return
    }
    var rows: [Int] = []
    var masks: [Int] = []
    var ranges: [(queryStart: Int, queryCount: Int, keyStart: Int, keyCount: Int)] = []
    for (index, prompt) in prompts.enumerated() {
      let own = Set([prompt.mask, prompt.subject ?? prompt.mask]).sorted()
      masks.append(rows.count + (own.first == prompt.mask ? 0 : 1))
      ranges.append((rows.count, own.count, packing.starts[index], packing.lengths[index]))
      rows += own.map { packing.starts[index] + $0 }
    }
    (self.rows, self.masks, spans) = (rows, masks, AttentionSpan.consecutive(ranges))
  }

  /// A copy of the rows that follow out of all, `[rows that follow, …]`.
  func gather(_ all: Slice) -> Matrix {
    guard let rows else { return copy(all) }
    return ForwardPass.gather(all, rows)
  }

  /// All rows: those that follow as they are now, the others as they were.
  func place(_ own: Matrix, among traced: Matrix?) -> Matrix {
    guard let rows, let traced else { return own }
    let result = copy(traced.all)
    for (position, row) in rows.enumerated() {
      result.rows(row, count: 1).copy(from: own.rows(position, count: 1))
    }
    return result
  }
}

private func copy(_ rows: Slice) -> Matrix {
  let result = Matrix(unfilled: rows.rows, columns: rows.columns)
  result.all.copy(from: rows)
  return result
}
