import Tensors

/// A weight matrix in float32 laid out once for products with few rows.
///
/// A product with a matrix as it lies copies it block by block, which for few rows takes longer than the product itself: with 9
/// rows this one is 1.7 to 2 times as fast, with 36 about a seventh faster. oneDNN has such layouts for AVX-512.
public struct PackedMatrix: Sendable {
  let weights: PackedWeightMemory

  /// Whether this CPU has products that gain by it.
  public static let isSupported = ProductPrimitive.packedLayout(inputs: 64, outputs: 64) != nil

  /// Lays out `weight`, `[inputs, outputs]`, or `[outputs, inputs]` when `transposing`; nil where this CPU has no product that
  /// gains by it.
  public init?(_ weight: Tensor, transposing: Bool) {
    guard
      let weights = PackedWeightMemory(
        weight, transposing: transposing, layout: { ProductPrimitive.packedLayout(inputs: $0, outputs: $1) })
    else { return nil }
    self.weights = weights
  }
}

/// The product of rows with a packed matrix.
///
/// `result = a · weight`, `a` `[rows, inputs]`, `result` `[rows, outputs]`, or `+=` when accumulating.
/// - Complexity: `rows · inputs · outputs` multiply-adds.
public func multiply(_ a: Slice, _ weight: PackedMatrix, into result: Slice, accumulating: Bool = false) {
  let weights = weight.weights
  precondition(a.rows == result.rows && a.columns == weights.inputs && result.columns == weights.outputs)
  guard a.rows > 0 else { return }
  WorkMeter.measure(.products, operations: 2 * a.rows * weights.inputs * weights.outputs) {
    let shape = ProductPrimitive.Shape(
      rows: a.rows, inputs: weights.inputs, outputs: weights.outputs,
      operands: .packed(stride: a.stride, resultStride: result.stride, accumulating: accumulating))
    guard let product = ProductPrimitive.of(shape) else {
      preconditionFailure("oneDNN made a layout of weights and refuses a product with it")
    }
    product.apply(
      UnsafeMutableRawPointer(a.pointer(0)), weights.values, into: UnsafeMutableRawPointer(result.pointer(0)))
  }
}
