import COneDNN
import Tensors

/// A weight matrix copied once into a layout of oneDNN's.
///
/// Written by its initialiser only, which makes sharing it between threads sound.
final class PackedWeightMemory: @unchecked Sendable {
  /// What a row of the product is made of.
  let inputs: Int
  /// Columns of the product.
  let outputs: Int
  /// As many bytes as the layout has.
  let values: UnsafeMutableRawPointer

  /// Copies `weight`, `[inputs, outputs]`, or `[outputs, inputs]` when `transposing`; nil where there is no such layout.
  init?(_ weight: Tensor, transposing: Bool, layout: (_ inputs: Int, _ outputs: Int) -> OperandLayout?) {
    inputs = transposing ? weight.columns : weight.rows
    outputs = transposing ? weight.rows : weight.columns
    guard let engine = ProductPrimitive.engine, let packed = layout(inputs, outputs) else { return nil }
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
