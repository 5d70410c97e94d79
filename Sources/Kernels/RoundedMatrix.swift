import COneDNN
import Foundation
import Tensors

/// A weight matrix rounded to bfloat16 and laid out once for products with any number of rows.
///
/// Such products run at twice the speed of float32 on CPUs that have instructions for them, and sum in float32.
public struct RoundedMatrix: Sendable {
  let weights: PackedWeightMemory

  /// Whether this CPU multiplies bfloat16.
  public static let isSupported = dnnl_get_effective_cpu_isa().rawValue & bfloat16.rawValue == bfloat16.rawValue

  private static let bfloat16 = dnnl_cpu_isa_avx512_core_bf16

  /// Rounds `weight`, `[inputs, outputs]`, or `[outputs, inputs]` when `transposing`; nil where ``isSupported`` is false.
  public init?(_ weight: Tensor, transposing: Bool) {
    guard Self.isSupported,
      let weights = PackedWeightMemory(
        weight, transposing: transposing, layout: { ProductPrimitive.roundedLayout(inputs: $0, outputs: $1) })
    else { return nil }
    self.weights = weights
  }
}

/// The product `[rows, outputs]` of rounded rows and weights, summed in float32.
///
/// - Returns: At least as many rows as `a` has; those beyond mean nothing.
/// - Complexity: `rows · inputs · outputs` multiply-adds.
public func multiply(_ a: RoundedRows, _ weight: RoundedMatrix) -> Matrix {
  let weights = weight.weights
  precondition(a.columns == weights.inputs)
  let result = Matrix(unfilled: a.paddedRows, columns: weights.outputs)
  guard a.rows > 0 else { return result }
  WorkMeter.measure(.products, operations: 2 * a.rows * weights.inputs * weights.outputs, areRounded: true) {
    let shape = ProductPrimitive.Shape(
      rows: a.paddedRows, inputs: weights.inputs, outputs: weights.outputs, operands: .rounded)
    guard let product = ProductPrimitive.of(shape) else {
      preconditionFailure("oneDNN made a layout of bfloat16 weights and refuses a product with it")
    }
    product.apply(UnsafeMutableRawPointer(a.base), weights.values, into: UnsafeMutableRawPointer(result.base))
  }
  return result
}
