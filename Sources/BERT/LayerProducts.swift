import Checkpoint
import Kernels

/// The six matrices of an encoder layer.
enum LayerMatrix: Int, CaseIterable {
  case query, key, value, attentionOutput, intermediate, output

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

  func apply(_ matrix: LayerMatrix, _ input: Slice, into output: Slice) {
    guard let weight = weights[matrix], let before = traced.inputs[matrix], let after = traced.outputs[matrix] else {
      return exact.apply(matrix, input, into: output)
    }
    let prompts = entries.prompts(rows: input.rows)
    let difference = RoundedRows(rows: Self.rowCount(prompts), columns: input.columns)
    Self.forEach(prompts, columns: input.columns) { start, among, tracedStart, count in
      difference.round(
        input.rows(start, count: count), minus: before.rows(tracedStart, count: count), at: among)
    }
    let product = multiply(difference, weight.up)
    Self.forEach(prompts, columns: output.columns) { start, among, tracedStart, count in
      add(
        product.rows(among, count: count), after.rows(tracedStart, count: count),
        into: output.rows(start, count: count))
    }
    replaceMasks(of: output, from: input) { exact.apply(matrix, $0, into: $1) }
  }

  func applyBackward(_ matrix: LayerMatrix, _ gradient: Slice, into input: Slice, accumulating: Bool) {
    guard let weight = weights[matrix] else {
      return exact.applyBackward(matrix, gradient, into: input, accumulating: accumulating)
    }
    let prompts = entries.prompts(rows: gradient.rows)
    let rounded = RoundedRows(rows: Self.rowCount(prompts), columns: gradient.columns)
    Self.forEach(prompts, columns: gradient.columns) { start, among, _, count in
      rounded.round(gradient.rows(start, count: count), at: among)
    }
    let product = multiply(rounded, weight.down)
    let result = accumulating ? Matrix(unfilled: gradient.rows, columns: input.columns).all : input
    Self.forEach(prompts, columns: result.columns) { start, among, _, count in
      result.rows(start, count: count).copy(from: product.rows(among, count: count))
    }
    replaceMasks(of: result, from: gradient) {
      exact.applyBackward(matrix, $0, into: $1, accumulating: false)
    }
    if accumulating { add(result, to: input) }
  }

  private static func rowCount(_ prompts: [PathEntries.PromptRows]) -> Int { prompts.reduce(0) { $0 + $1.count } }

  /// Goes through prompts of such rows, on as many threads as products have where they are enough.
  private static func forEach(
    _ prompts: [PathEntries.PromptRows], columns: Int, _ body: (PathEntries.PromptRows) -> Void
  ) {
    divided(prompts.count, values: rowCount(prompts) * columns / max(1, prompts.count)) { part in
      for index in part { body(prompts[index]) }
    }
  }

  private func replaceMasks(of output: Slice, from input: Slice, _ product: (Slice, Slice) -> Void) {
    let masks = entries.own.masks.prefix { $0 < input.rows }
    let own = Matrix(unfilled: masks.count, columns: output.columns)
    product(ForwardPass.gather(input, Array(masks)).all, own.all)
    for (point, mask) in masks.enumerated() { output.row(mask).copy(from: own.rows(point, count: 1)) }
  }
}
