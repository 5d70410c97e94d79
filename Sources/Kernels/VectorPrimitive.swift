import COneDNN

/// A oneDNN operation over a run of values, which uses the widest instructions of the CPU that it finds itself on.
///
/// Swift compiles for the least of all x86-64 CPUs; GELU and the vocabulary's softmax are where that costs most. None of
/// these operations needs a scratchpad, so that any thread may execute one at any time.
struct VectorPrimitive: @unchecked Sendable {
  private let layout: OperandLayout
  private let primitive: dnnl_primitive_t

  /// Values of one call of GELU: little enough for the second cache, enough to make the call's own cost vanish.
  static let geluBlock = 16384
  /// Rows shorter than this are not worth a call of softmax.
  static let shortestSoftmax = 512

  /// GELU of ``geluBlock`` values, in place; nil where oneDNN has none.
  static let gelu = VectorPrimitive(count: geluBlock) { knedit_describe_gelu($0, $1, $2) }

  /// Multiplies ``geluBlock`` gradients by GELU's derivative; nil where oneDNN has none.
  static let geluBackward = VectorPrimitive(count: geluBlock) { description, engine, values in
    var forward: dnnl_primitive_desc_t?
    let status = knedit_describe_gelu(&forward, engine, values)
    guard status == dnnl_success else { return status }
    defer { dnnl_primitive_desc_destroy(forward) }
    return knedit_describe_gelu_backward(description, engine, values, forward)
  }

  /// Softmax, or its logarithm, of one long row, in place; nil for short rows and where oneDNN has none.
  static func softmax(count: Int, logarithm: Bool) -> VectorPrimitive? {
    guard count >= shortestSoftmax else { return nil }
    return softmaxes.value(for: SoftmaxRow(count: count, logarithm: logarithm))
  }

  /// A row of so many values, and what is taken of it.
  private struct SoftmaxRow: Hashable {
    let count: Int
    let logarithm: Bool
  }

  private static let softmaxes = MadeOnce<SoftmaxRow, VectorPrimitive> { row in
    VectorPrimitive(count: row.count) { knedit_describe_softmax($0, $1, $2, row.logarithm ? 1 : 0) }
  }

  private init?(
    count: Int,
    _ describe: (UnsafeMutablePointer<dnnl_primitive_desc_t?>, dnnl_engine_t, knedit_layout_t) -> dnnl_status_t
  ) {
    var description: dnnl_primitive_desc_t?
    guard let engine = ProductPrimitive.engine, let layout = OperandLayout(count: count),
      describe(&description, engine, layout.description) == dnnl_success
    else { return nil }
    defer { dnnl_primitive_desc_destroy(description) }
    var primitive: dnnl_primitive_t?
    guard dnnl_primitive_create(&primitive, description) == dnnl_success, let primitive else { return nil }
    (self.layout, self.primitive) = (layout, primitive)
  }

  /// Works in place on as many values at `x` as it was made for.
  func apply(_ x: UnsafeMutablePointer<Float>) { execute([(DNNL_ARG_SRC_0, x), (DNNL_ARG_DST_0, x)]) }

  /// Works in place on as many gradients, whose operation was taken at `x`.
  func applyBackward(_ gradient: UnsafeMutablePointer<Float>, at x: UnsafeMutablePointer<Float>) {
    execute([(DNNL_ARG_SRC_0, x), (DNNL_ARG_DIFF_DST_0, gradient), (DNNL_ARG_DIFF_SRC_0, gradient)])
  }

  private func execute(_ values: [(Int32, UnsafeMutablePointer<Float>)]) {
    Kernels.execute(
      primitive, on: ProductPrimitive.engine, values.map { ($0, layout, UnsafeMutableRawPointer($1)) })
  }
}
