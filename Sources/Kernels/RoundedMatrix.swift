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
  let layout: dnnl_memory_desc_t
  /// Written by the initialiser only, which makes sharing it between threads sound.
  let values: UnsafeMutableRawPointer

  /// Whether this CPU multiplies bfloat16.
  public static let isSupported = dnnl_get_effective_cpu_isa().rawValue & bfloat16.rawValue == bfloat16.rawValue

  private static let bfloat16 = dnnl_cpu_isa_avx512_core_bf16

  /// Rounds `weight`, `[inputs, outputs]`, or `[outputs, inputs]` when `transposing`; nil where ``isSupported`` is false.
  public init?(_ weight: Tensor, transposing: Bool) {
    guard Self.isSupported, let engine = RoundedProduct.engine else { return nil }
    inputs = transposing ? weight.columns : weight.rows
    outputs = transposing ? weight.rows : weight.columns
    guard let layout = RoundedProduct.weightLayout(inputs: inputs, outputs: outputs) else { return nil }
    self.layout = layout
    var packed = layout
    let values = UnsafeMutableRawPointer.allocate(byteCount: dnnl_memory_desc_get_size(&packed), alignment: 64)
    self.values = values
    let extents = [dnnl_dim_t(inputs), dnnl_dim_t(outputs)]
    var plain = dnnl_memory_desc_t()
    dnnl_memory_desc_init_by_tag(&plain, 2, extents, dnnl_f32, transposing ? dnnl_ba : dnnl_ab)
    var description: dnnl_primitive_desc_t?
    var reorder: dnnl_primitive_t?
    guard
      dnnl_reorder_primitive_desc_create(&description, &plain, engine, &packed, engine, nil) == dnnl_success,
      dnnl_primitive_create(&reorder, description) == dnnl_success
    else {
      // What is stored already is freed by `deinit`.
      return nil
    }
    defer {
      dnnl_primitive_destroy(reorder)
      dnnl_primitive_desc_destroy(description)
    }
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
    RoundedProduct.products.product(rows: a.paddedRows, weight).apply(a, weight, into: result)
  }
  return result
}

/// oneDNN's product of so many rounded rows with a rounded matrix of one shape.
///
/// Its scratchpad is the caller's, so that any thread may execute it at any time.
struct RoundedProduct: @unchecked Sendable {
  private let rows: dnnl_memory_desc_t
  private let result: dnnl_memory_desc_t
  private let scratchpad: dnnl_memory_desc_t
  private let primitive: dnnl_primitive_t

  /// Never changed once made, and any thread may use it.
  nonisolated(unsafe) static let engine: dnnl_engine_t? = {
    var engine: dnnl_engine_t?
    return dnnl_engine_create(&engine, dnnl_cpu, 0) == dnnl_success ? engine : nil
  }()

  static let products = Products()

  /// Products by shape, made when first asked for; the lock guards them.
  final class Products: @unchecked Sendable {
    private struct Shape: Hashable {
      let rows: Int
      let inputs: Int
      let outputs: Int
      /// Threads that calls from this thread may use: oneDNN lays its work out for so many.
      let threads: Int32
    }
    private let lock = NSLock()
    private var made: [Shape: RoundedProduct] = [:]

    func product(rows: Int, _ weight: RoundedMatrix) -> RoundedProduct {
      lock.withLock {
        let shape = Shape(
          rows: rows, inputs: weight.inputs, outputs: weight.outputs, threads: omp_get_max_threads())
        if let found = made[shape] { return found }
        guard let product = RoundedProduct(rows: rows, weight) else {
          preconditionFailure("oneDNN made a layout of bfloat16 weights and refuses a product with it")
        }
        made[shape] = product
        return product
      }
    }
  }

  private init?(rows count: Int, _ weight: RoundedMatrix) {
    guard
      let description = Self.describe(rows: count, inputs: weight.inputs, outputs: weight.outputs, weight.layout)
    else { return nil }
    defer { dnnl_primitive_desc_destroy(description) }
    var primitive: dnnl_primitive_t?
    guard dnnl_primitive_create(&primitive, description) == dnnl_success, let primitive,
      let scratchpad = dnnl_primitive_desc_query_md(description, dnnl_query_scratchpad_md, 0)
    else { return nil }
    self.primitive = primitive
    self.scratchpad = scratchpad.pointee
    rows = Self.plain(count, weight.inputs, dnnl_bf16)
    result = Self.plain(count, weight.outputs, dnnl_f32)
  }

  /// The layout of weights that oneDNN likes best; nil where it has no such product.
  static func weightLayout(inputs: Int, outputs: Int) -> dnnl_memory_desc_t? {
    guard let description = describe(rows: 64, inputs: inputs, outputs: outputs, nil) else { return nil }
    defer { dnnl_primitive_desc_destroy(description) }
    return dnnl_primitive_desc_query_md(description, dnnl_query_weights_md, 0)?.pointee
  }

  private static func plain(_ rows: Int, _ columns: Int, _ type: dnnl_data_type_t) -> dnnl_memory_desc_t {
    var result = dnnl_memory_desc_t()
    let extents = [dnnl_dim_t(rows), dnnl_dim_t(columns)]
    dnnl_memory_desc_init_by_tag(&result, 2, extents, type, dnnl_ab)
    return result
  }

  private static func describe(
    rows: Int, inputs: Int, outputs: Int, _ layout: dnnl_memory_desc_t?
  ) -> dnnl_primitive_desc_t? {
    var source = plain(rows, inputs, dnnl_bf16)
    var result = plain(rows, outputs, dnnl_f32)
    var weights = dnnl_memory_desc_t()
    if let layout {
      weights = layout
    } else {
      let extents = [dnnl_dim_t(inputs), dnnl_dim_t(outputs)]
      dnnl_memory_desc_init_by_tag(&weights, 2, extents, dnnl_bf16, dnnl_format_tag_any)
    }
    var operation = dnnl_matmul_desc_t()
    var attributes: dnnl_primitive_attr_t?
    guard dnnl_matmul_desc_init(&operation, &source, &weights, nil, &result) == dnnl_success,
      dnnl_primitive_attr_create(&attributes) == dnnl_success
    else { return nil }
    defer { dnnl_primitive_attr_destroy(attributes) }
    dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user)
    var description: dnnl_primitive_desc_t?
    return dnnl_primitive_desc_create(&description, &operation, attributes, engine, nil) == dnnl_success
      ? description : nil
  }

  /// All of `a`'s rows, the padded ones too, times `weight`; `result` has as many.
  func apply(_ a: RoundedRows, _ weight: RoundedMatrix, into result: Matrix) {
    var needed = scratchpad
    let scratch = MatrixMemory.shared.take(byteCount: dnnl_memory_desc_get_size(&needed))
    defer { MatrixMemory.shared.give(scratch) }
    execute(
      primitive, on: Self.engine,
      [
        (DNNL_ARG_SRC_0, rows, UnsafeMutableRawPointer(a.base)), (DNNL_ARG_WEIGHTS_0, weight.layout, weight.values),
        (DNNL_ARG_DST_0, self.result, UnsafeMutableRawPointer(result.base)),
        (DNNL_ARG_SCRATCHPAD, scratchpad, scratch.start),
      ])
  }
}
