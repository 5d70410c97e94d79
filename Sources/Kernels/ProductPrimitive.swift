import COneDNN

/// One of oneDNN's products of rows with a matrix, made for one number of rows and one layout.
///
/// Its scratchpad is the caller's, so that any thread may execute it at any time.
struct ProductPrimitive: @unchecked Sendable {
  /// What a product is made for.
  struct Shape: Hashable {
    let rows: Int
    /// What a row of the product is made of.
    let inputs: Int
    /// Columns of the product.
    let outputs: Int
    let operands: Operands
    /// Threads that calls from this thread may use: oneDNN lays its work out for so many.
    let threads = omp_get_max_threads()
  }

  /// How what is multiplied lies in memory.
  enum Operands: Hashable {
    /// Rows of bfloat16 with weights in ``ProductPrimitive/roundedLayout(inputs:outputs:)``.
    case rounded
    /// Rows of float32 so far apart with weights as they lie, `[outputs, inputs]` when `transposing`, or `[inputs, outputs]`.
    case plain(stride: Int, transposing: Bool, resultStride: Int, accumulating: Bool)
    /// Rows of float32 so far apart with weights in ``ProductPrimitive/packedLayout(inputs:outputs:)``.
    case packed(stride: Int, resultStride: Int, accumulating: Bool)
  }

  private let a: OperandLayout
  private let weight: OperandLayout
  private let result: OperandLayout
  private let scratchpad: OperandLayout
  private let primitive: dnnl_primitive_t

  /// Never changed once made, and any thread may use it.
  nonisolated(unsafe) static let engine: dnnl_engine_t? = {
    var engine: dnnl_engine_t?
    return dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success ? engine : nil
  }()

  private static let products = MadeOnce<Shape, ProductPrimitive> { ProductPrimitive($0) }

  /// What a layout of rounded weights is for.
  private struct Extents: Hashable {
    let inputs: Int
    let outputs: Int
    let isRounded: Bool
  }

  private static let layouts = MadeOnce<Extents, OperandLayout> { likedLayout(of: $0) }

  /// The product of a shape; nil where oneDNN has none that suits this CPU.
  static func of(_ shape: Shape) -> ProductPrimitive? { products.value(for: shape) }

  /// The layout of bfloat16 weights, one for all matrices and products of these extents; nil where oneDNN has no such product.
  static func roundedLayout(inputs: Int, outputs: Int) -> OperandLayout? {
    layouts.value(for: Extents(inputs: inputs, outputs: outputs, isRounded: true))
  }

  /// The layout of packed weights in float32; nil where oneDNN has no kernel for such.
  static func packedLayout(inputs: Int, outputs: Int) -> OperandLayout? {
    layouts.value(for: Extents(inputs: inputs, outputs: outputs, isRounded: false))
  }

  /// The layout of weights that oneDNN likes best on this thread, which may depend on how many it may use.
  private static func likedLayout(of weights: Extents) -> OperandLayout? {
    let (type, likeliestRows) = weights.isRounded ? (dnnl_bf16, 64) : (dnnl_f32, 16)
    guard let any = OperandLayout(any: [weights.inputs, weights.outputs], type),
      let a = OperandLayout(rows: likeliestRows, columns: weights.inputs, type),
      let result = OperandLayout(rows: likeliestRows, columns: weights.outputs, dnnl_f32),
      let description = describe(a, any, result, accumulating: false)
    else { return nil }
    defer { dnnl_primitive_desc_destroy(description) }
    guard let layout = OperandLayout(of: description, dnnl_query_weights_md) else { return nil }
    if weights.isRounded { return layout }
    // A kernel for many rows may have none beside it for a single one.
    guard multipliesInPlace(description), let row = OperandLayout(rows: 1, columns: weights.inputs, type),
      let single = OperandLayout(rows: 1, columns: weights.outputs, dnnl_f32),
      let alone = describe(row, layout, single, accumulating: true)
    else { return nil }
    dnnl_primitive_desc_destroy(alone)
    return layout
  }

  private init?(_ shape: Shape) {
    let found: (a: OperandLayout?, weight: OperandLayout?, result: OperandLayout?)
    var accumulates = false
    switch shape.operands {
    case .rounded:
      found = (
        OperandLayout(rows: shape.rows, columns: shape.inputs, dnnl_bf16),
        Self.roundedLayout(inputs: shape.inputs, outputs: shape.outputs),
        OperandLayout(rows: shape.rows, columns: shape.outputs, dnnl_f32)
      )
    case .plain(let stride, let transposing, let resultStride, let accumulating):
      found = (
        OperandLayout(rows: shape.rows, columns: shape.inputs, dnnl_f32, strides: (stride, 1)),
        OperandLayout(
          rows: shape.inputs, columns: shape.outputs, dnnl_f32,
          strides: transposing ? (1, shape.inputs) : (shape.outputs, 1)),
        OperandLayout(rows: shape.rows, columns: shape.outputs, dnnl_f32, strides: (resultStride, 1))
      )
      accumulates = accumulating
    case .packed(let stride, let resultStride, let accumulating):
      found = (
        OperandLayout(rows: shape.rows, columns: shape.inputs, dnnl_f32, strides: (stride, 1)),
        Self.packedLayout(inputs: shape.inputs, outputs: shape.outputs),
        OperandLayout(rows: shape.rows, columns: shape.outputs, dnnl_f32, strides: (resultStride, 1))
      )
      accumulates = accumulating
    }
    guard let a = found.a, let weight = found.weight, let result = found.result,
      let description = Self.describe(a, weight, result, accumulating: accumulates)
    else { return nil }
    defer { dnnl_primitive_desc_destroy(description) }
    if case .plain = shape.operands, !Self.multipliesInPlace(description) { return nil }
    var primitive: dnnl_primitive_t?
    guard dnnl_primitive_create(&primitive, description) == dnnl_success, let primitive,
      let scratchpad = OperandLayout(of: description, dnnl_query_scratchpad_md)
    else { return nil }
    (self.a, self.weight, self.result, self.scratchpad, self.primitive) = (a, weight, result, scratchpad, primitive)
  }

  /// Whether a product has a kernel of its own, and is not `dnnl_sgemm` under another name.
  private static func multipliesInPlace(_ description: dnnl_primitive_desc_t) -> Bool {
    var name: UnsafePointer<CChar>?
    guard dnnl_primitive_desc_query(description, dnnl_query_impl_info_str, 0, &name) == dnnl_success, let name
    else { return false }
    return String(cString: name).hasPrefix("brg")
  }

  private static func describe(
    _ a: OperandLayout, _ weight: OperandLayout, _ result: OperandLayout, accumulating: Bool
  ) -> dnnl_primitive_desc_t? {
    var attributes: dnnl_primitive_attr_t?
    guard dnnl_primitive_attr_create(&attributes) == dnnl_success else { return nil }
    defer { dnnl_primitive_attr_destroy(attributes) }
    dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user)
    if accumulating {
      var operations: dnnl_post_ops_t?
      guard dnnl_post_ops_create(&operations) == dnnl_success else { return nil }
      defer { dnnl_post_ops_destroy(operations) }
      knedit_post_ops_append_sum(operations)
      dnnl_primitive_attr_set_post_ops(attributes, operations)
    }
    var description: dnnl_primitive_desc_t?
    let status = knedit_describe_product(
      &description, engine, a.description, weight.description, result.description, attributes)
    return status == dnnl_success ? description : nil
  }

  /// Multiplies; every pointer is to what the shape says.
  func apply(
    _ a: UnsafeMutableRawPointer, _ weight: UnsafeMutableRawPointer, into result: UnsafeMutableRawPointer
  ) {
    let scratch = MatrixMemory.shared.take(byteCount: scratchpad.byteCount)
    defer { MatrixMemory.shared.give(scratch) }
    execute(
      primitive, on: Self.engine,
      [
        (DNNL_ARG_SRC_0, self.a, a), (DNNL_ARG_WEIGHTS_0, self.weight, weight), (DNNL_ARG_DST_0, self.result, result),
        (DNNL_ARG_SCRATCHPAD, scratchpad, scratch.start),
      ])
  }
}
