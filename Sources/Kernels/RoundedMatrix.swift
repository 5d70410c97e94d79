import COneDNN
import Foundation
import Tensors

/// A weight matrix rounded to bfloat16 and laid out once for products with any number of rows.
///
/// Such products run at twice the speed of float32 on CPUs that have instructions for them, and sum in float32.
public final class RoundedMatrix: @unchecked Sendable {
  /// What a row of the product is made of.
  let inputs: Int
  /// Columns of the product.
  let outputs: Int
  /// Written by the initialiser only, which makes sharing it between threads sound.
  let values: UnsafeMutableRawPointer

  /// Whether this CPU multiplies bfloat16.
  public static let isSupported = dnnl_get_effective_cpu_isa().rawValue & bfloat16.rawValue == bfloat16.rawValue

  private static let bfloat16 = dnnl_cpu_isa_avx512_core_bf16

  /// Rounds `weight`, `[inputs, outputs]`, or `[outputs, inputs]` when `transposing`; nil where ``isSupported`` is false.
  public init?(_ weight: Tensor, transposing: Bool) {
    guard Self.isSupported, let engine = ProductPrimitive.engine else { return nil }
    inputs = transposing ? weight.columns : weight.rows
    outputs = transposing ? weight.rows : weight.columns
    guard let packed = ProductPrimitive.roundedLayout(inputs: inputs, outputs: outputs) else { return nil }
    let values = UnsafeMutableRawPointer.allocate(byteCount: packed.byteCount, alignment: 64)
    self.values = values
    // Where this ends early, what is stored already is freed by `deinit`.
    var description: dnnl_primitive_desc_t?
    guard
      let plain = OperandLayout(
        rows: inputs, columns: outputs, dnnl_f32, strides: transposing ? (1, inputs) : (outputs, 1)),
      knedit_describe_reorder(&description, engine, plain.description, packed.description) == dnnl_success
    else { return nil }
    defer { dnnl_primitive_desc_destroy(description) }
    var reorder: dnnl_primitive_t?
    guard dnnl_primitive_create(&reorder, description) == dnnl_success else { return nil }
    defer { dnnl_primitive_destroy(reorder) }
    weight.withUnsafeBufferPointer { source in
      guard let base = source.baseAddress else { return }
      execute(
        reorder, on: engine,
        [(DNNL_ARG_SRC_0, plain, UnsafeMutableRawPointer(mutating: base)), (DNNL_ARG_DST_0, packed, values)])
    }
  }

  deinit { values.deallocate() }
}

/// The product `[rows, outputs]` of rounded rows and weights, summed in float32.
///
/// - Returns: At least as many rows as `a` has; those beyond mean nothing.
/// - Complexity: `rows · inputs · outputs` multiply-adds.
public func multiply(_ a: RoundedRows, _ weight: RoundedMatrix) -> Matrix {
  precondition(a.columns == weight.inputs)
  let result = Matrix(unfilled: a.paddedRows, columns: weight.outputs)
  guard a.rows > 0 else { return result }
  WorkMeter.measure(.products, operations: 2 * a.rows * weight.inputs * weight.outputs, areRounded: true) {
    let shape = ProductPrimitive.Shape(
      rows: a.paddedRows, inputs: weight.inputs, outputs: weight.outputs, operands: .rounded)
    guard let product = ProductPrimitive.of(shape) else {
      preconditionFailure("oneDNN made a layout of bfloat16 weights and refuses a product with it")
    }
    product.apply(UnsafeMutableRawPointer(a.base), weight.values, into: UnsafeMutableRawPointer(result.base))
  }
  return result
}
