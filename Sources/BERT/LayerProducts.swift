import Checkpoint
import Kernels

/// The six matrices of an encoder layer.
enum LayerMatrix: Int, CaseIterable {
  case query, key, value, attentionOutput, intermediate, output

  /// Whether it multiplies what the layer is given.
  var readsInput: Bool { [.query, .key, .value].contains(self) }

  /// Where a layer's weights hold it.
  func projection(of weights: BERTWeights.Layer) -> BERTWeights.Projection {
    switch self {
    case .query: weights.query
    case .key: weights.key
    case .value: weights.value
    case .attentionOutput: weights.attentionOutput
    case .intermediate: weights.intermediate
    case .output: weights.output
    }
  }
}

/// How a layer multiplies rows with its matrices.
protocol LayerProducts {
  /// `output = input · W`, without the bias.
  func apply(_ matrix: LayerMatrix, _ input: Slice, into output: Slice)

  /// `input = gradient · Wᵀ`, or `+=` when accumulating: from the gradient of the output to that of the input.
  func applyBackward(_ matrix: LayerMatrix, _ gradient: Slice, into input: Slice, accumulating: Bool)
}

/// Products in float32.
struct ExactProducts: LayerProducts {
  let weights: BERTWeights.Layer
  /// What they are made with where the layer's matrices are packed.
  let packed: PackedWeights.Layer?

  func apply(_ matrix: LayerMatrix, _ input: Slice, into output: Slice) {
    if let packed = packed?[matrix] { return multiply(input, packed.up, into: output) }
    matrix.projection(of: weights).apply(input, into: output)
  }

  func applyBackward(_ matrix: LayerMatrix, _ gradient: Slice, into input: Slice, accumulating: Bool) {
    if let packed = packed?[matrix] { return multiply(gradient, packed.down, into: input, accumulating: accumulating) }
    matrix.projection(of: weights).applyBackward(gradient, into: input, accumulating: accumulating)
  }
}

/// Products in float32 that are kept, with the rows they were made of, for ``RoundedProducts``.
///
/// Written by one pass upwards, then only read.
final class RecordedProducts: LayerProducts {
  private let exact: ExactProducts
  private let matrices: [LayerMatrix]
  /// What each matrix was given, `[rows, …]`.
  private(set) var inputs: [LayerMatrix: Slice] = [:]
  /// What it made of that, without the bias, `[rows, …]`.
  private(set) var outputs: [LayerMatrix: Matrix] = [:]

  /// Records the products of some of a layer's matrices.
  init(_ exact: ExactProducts, _ matrices: [LayerMatrix]) {
    self.exact = exact
    self.matrices = matrices
  }

  func apply(_ matrix: LayerMatrix, _ input: Slice, into output: Slice) {
    exact.apply(matrix, input, into: output)
    guard matrices.contains(matrix) else { return }
    // No layer changes the rows that it has multiplied; the product it goes on to work on in place.
    inputs[matrix] = input
    let copy = Matrix(unfilled: output.rows, columns: output.columns)
    copy.all.copy(from: output)
    outputs[matrix] = copy
  }

  /// Not recorded: a rounded way back starts from nothing.
  func applyBackward(_ matrix: LayerMatrix, _ gradient: Slice, into input: Slice, accumulating: Bool) {
    exact.applyBackward(matrix, gradient, into: input, accumulating: accumulating)
  }
}

/// Products of whole prompts at points of paths, in bfloat16 but for the rows of `[MASK]`.
///
/// What a point changes goes through the row of `[MASK]`, which stays exact. Of every other row only the difference to the
/// traced pass, which is small, is rounded on the way up; on the way back those rows carry a small part of the gradient.
struct RoundedProducts: LayerProducts {
  let exact: ExactProducts
  let weights: RoundedWeights.Layer
  let traced: RecordedProducts
  let entries: PathEntries
  /// So many points come from the layer below.
  ///
  /// The others enter here: what their queries, keys and values are made of is the traced pass's but for `[MASK]`, and of their
  /// gradients nothing else goes further down.
  let continuing: Int

  /// Of some own rows, those that are multiplied rounded, and those whole prompts' that need not be.
  private func prompts(_ matrix: LayerMatrix, rows: Int) -> (
    moved: [PathEntries.PromptRows], traced: [PathEntries.PromptRows]
  ) {
    let all = entries.prompts(rows: rows)
    guard matrix.readsInput else { return (all, []) }
    let count = entries.prompts(rows: entries.own.rows(of: continuing)).count
    return (Array(all.prefix(count)), Array(all.dropFirst(count)))
  }

  func apply(_ matrix: LayerMatrix, _ input: Slice, into output: Slice) {
    guard let weight = weights[matrix], let before = traced.inputs[matrix], let after = traced.outputs[matrix] else {
      return exact.apply(matrix, input, into: output)
    }
    let prompts = prompts(matrix, rows: input.rows)
    let difference = RoundedRows(rows: Self.rowCount(prompts.moved), columns: input.columns)
    Self.forEach(prompts.moved, columns: input.columns) { own in
      difference.round(
        input.rows(own.start, count: own.count), minus: before.rows(own.tracedStart, count: own.count),
        at: own.startAmongPrompts)
    }
    let product = multiply(difference, weight.up)
    Self.forEach(prompts.moved, columns: output.columns) { own in
      add(
        product.rows(own.startAmongPrompts, count: own.count), after.rows(own.tracedStart, count: own.count),
        into: output.rows(own.start, count: own.count))
    }
    Self.forEach(prompts.traced, columns: output.columns) { own in
      output.rows(own.start, count: own.count).copy(from: after.rows(own.tracedStart, count: own.count))
    }
    let masks = masks(rows: input.rows)
    let exactly = made(of: masks, input, columns: output.columns) { exact.apply(matrix, $0, into: $1) }
    for (point, mask) in masks.enumerated() { output.row(mask).copy(from: exactly.rows(point, count: 1)) }
  }

  func applyBackward(_ matrix: LayerMatrix, _ gradient: Slice, into input: Slice, accumulating: Bool) {
    guard let weight = weights[matrix] else {
      return exact.applyBackward(matrix, gradient, into: input, accumulating: accumulating)
    }
    let prompts = prompts(matrix, rows: gradient.rows).moved
    let rounded = RoundedRows(rows: Self.rowCount(prompts), columns: gradient.columns)
    Self.forEach(prompts, columns: gradient.columns) { own in
      rounded.round(gradient.rows(own.start, count: own.count), at: own.startAmongPrompts)
    }
    let product = multiply(rounded, weight.down)
    let masks = masks(rows: gradient.rows)
    let exactly = made(of: masks, gradient, columns: input.columns, multiple: inPlaceRows) {
      exact.applyBackward(matrix, $0, into: $1, accumulating: false)
    }
    func take(_ rows: Slice, _ start: Int) {
      let target = input.rows(start, count: rows.rows)
      if accumulating { add(rows, to: target) } else { target.copy(from: rows) }
    }
    var replaced = Set<Int>()
    for own in prompts {
      replaced.insert(own.point)
      product.rows(own.startAmongPrompts + masks[own.point] - own.start, count: 1).copy(
        from: exactly.rows(own.point, count: 1))
    }
    Self.forEach(prompts, columns: input.columns) { own in
      take(product.rows(own.startAmongPrompts, count: own.count), own.start)
    }
    for (point, mask) in masks.enumerated() where !replaced.contains(point) {
      take(exactly.rows(point, count: 1), mask)
    }
  }

  /// The rows of `[MASK]` among so many own rows, by point.
  private func masks(rows: Int) -> [Int] { Array(entries.own.masks.prefix { $0 < rows }) }

  private static func rowCount(_ prompts: [PathEntries.PromptRows]) -> Int { prompts.reduce(0) { $0 + $1.count } }

  /// Goes through prompts of such rows, on as many threads as products have where they are enough.
  private static func forEach(
    _ prompts: [PathEntries.PromptRows], columns: Int, _ body: (PathEntries.PromptRows) -> Void
  ) {
    divided(prompts.count, values: rowCount(prompts) * columns / max(1, prompts.count)) { part in
      for index in part { body(prompts[index]) }
    }
  }
}

/// Products of the way back through a traced pass of whole prompts, in bfloat16 but for the rows of `[MASK]` and those that follow
/// the prompts' own.
struct RoundedReturn: LayerProducts {
  let exact: ExactProducts
  let weights: RoundedWeights.Layer
  let packing: Packing

  /// The way up stays exact.
  func apply(_ matrix: LayerMatrix, _ input: Slice, into output: Slice) { exact.apply(matrix, input, into: output) }

  func applyBackward(_ matrix: LayerMatrix, _ gradient: Slice, into input: Slice, accumulating: Bool) {
    guard let weight = weights[matrix] else {
      return exact.applyBackward(matrix, gradient, into: input, accumulating: accumulating)
    }
    let rounded = RoundedRows(rows: packing.rows, columns: gradient.columns)
    rounded.round(gradient.rows(0, count: packing.rows), at: 0)
    let product = multiply(rounded, weight.down)
    let further = packing.rows..<gradient.rows
    let exactly = made(of: packing.masks + further, gradient, columns: input.columns, multiple: inPlaceRows) {
      exact.applyBackward(matrix, $0, into: $1, accumulating: false)
    }
    for (prompt, mask) in packing.masks.enumerated() {
      product.rows(mask, count: 1).copy(from: exactly.rows(prompt, count: 1))
    }
    for (rows, start) in [
      (product.rows(0, count: packing.rows), 0), (exactly.rows(packing.count, count: further.count), packing.rows),
    ] {
      let target = input.rows(start, count: rows.rows)
      if accumulating { add(rows, to: target) } else { target.copy(from: rows) }
    }
  }
}

/// What `product` makes of some rows, `[at least rows, columns]`.
///
/// - Parameter multiple: The last row is repeated until their number is a multiple of this, for products that are made for few
///   numbers of rows.
private func made(
  of rows: [Int], _ all: Slice, columns: Int, multiple: Int = 1, _ product: (Slice, Slice) -> Void
) -> Matrix {
  let count = (rows.count + multiple - 1) / multiple * multiple
  let gathered = Matrix(unfilled: count, columns: all.columns)
  for index in 0..<count {
    gathered.rows(index, count: 1).copy(from: all.row(rows[min(index, rows.count - 1)]))
  }
  let result = Matrix(unfilled: count, columns: columns)
  product(gathered.all, result.all)
  return result
}
