import COneDNN

/// A oneDNN operation over a run of values, which uses the widest instructions of the CPU that it finds itself on.
///
/// Swift compiles for the least of all x86-64 CPUs; GELU and the vocabulary's softmax are where that costs most. None of
/// these operations needs a scratchpad, so that any thread may execute one at any time.
struct VectorPrimitive: @unchecked Sendable {
  private let description: dnnl_memory_desc_t
  private let primitive: dnnl_primitive_t

  /// Values of one call of GELU: little enough for the second cache, enough to make the call's own cost vanish.
  static let geluBlock = 16384
  /// Rows shorter than this are not worth a call of softmax.
  static let shortestSoftmax = 512

  /// GELU of ``geluBlock`` values, in place; nil where oneDNN has none.
  static let gelu = VectorPrimitive(count: geluBlock) { values, engine in
    var operation = dnnl_eltwise_desc_t()
    guard
      dnnl_eltwise_forward_desc_init(
        &operation, dnnl_forward_training, dnnl_eltwise_gelu_erf, values, 0, 0) == dnnl_success
    else { return nil }
    var description: dnnl_primitive_desc_t?
    return dnnl_primitive_desc_create(&description, &operation, nil, engine, nil) == dnnl_success ? description : nil
  }

  /// Multiplies ``geluBlock`` gradients by GELU's derivative; nil where oneDNN has none.
  static let geluBackward = VectorPrimitive(count: geluBlock) { values, engine in
    var up = dnnl_eltwise_desc_t()
    var down = dnnl_eltwise_desc_t()
    guard
      dnnl_eltwise_forward_desc_init(&up, dnnl_forward_training, dnnl_eltwise_gelu_erf, values, 0, 0) == dnnl_success,
      dnnl_eltwise_backward_desc_init(&down, dnnl_eltwise_gelu_erf, values, values, 0, 0) == dnnl_success
    else { return nil }
    var hint: dnnl_primitive_desc_t?
    guard dnnl_primitive_desc_create(&hint, &up, nil, engine, nil) == dnnl_success else { return nil }
    defer { dnnl_primitive_desc_destroy(hint) }
    var description: dnnl_primitive_desc_t?
    return dnnl_primitive_desc_create(&description, &down, nil, engine, hint) == dnnl_success ? description : nil
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
    VectorPrimitive(count: row.count) { values, engine in
      var operation = dnnl_softmax_v2_desc_t()
      let algorithm = row.logarithm ? dnnl_softmax_log : dnnl_softmax_accurate
      guard
        dnnl_softmax_v2_forward_desc_init(&operation, dnnl_forward_inference, algorithm, values, values, 0)
          == dnnl_success
      else { return nil }
      var description: dnnl_primitive_desc_t?
      return dnnl_primitive_desc_create(&description, &operation, nil, engine, nil) == dnnl_success ? description : nil
    }
  }

  private init?(count: Int, _ describe: (UnsafePointer<dnnl_memory_desc_t>, dnnl_engine_t) -> dnnl_primitive_desc_t?) {
    guard let engine = ProductPrimitive.engine else { return nil }
    var values = dnnl_memory_desc_t()
    let extents = [dnnl_dim_t(count)]
    guard dnnl_memory_desc_init_by_tag(&values, 1, extents, dnnl_f32, dnnl_a) == dnnl_success,
      let description = describe(&values, engine)
    else { return nil }
    defer { dnnl_primitive_desc_destroy(description) }
    var primitive: dnnl_primitive_t?
    guard dnnl_primitive_create(&primitive, description) == dnnl_success, let primitive else { return nil }
    self.description = values
    self.primitive = primitive
  }

  /// Works in place on as many values at `x` as it was made for.
  func apply(_ x: UnsafeMutablePointer<Float>) { execute([(DNNL_ARG_SRC_0, x), (DNNL_ARG_DST_0, x)]) }

  /// Works in place on as many gradients, whose operation was taken at `x`.
  func applyBackward(_ gradient: UnsafeMutablePointer<Float>, at x: UnsafeMutablePointer<Float>) {
    execute([(DNNL_ARG_SRC_0, x), (DNNL_ARG_DIFF_DST_0, gradient), (DNNL_ARG_DIFF_SRC_0, gradient)])
  }

  private func execute(_ values: [(Int32, UnsafeMutablePointer<Float>)]) {
    Kernels.execute(
      primitive, on: ProductPrimitive.engine, values.map { ($0, description, UnsafeMutableRawPointer($1)) })
  }
}
