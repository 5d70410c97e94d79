import COneDNN

/// How the values of an operand of oneDNN lie in memory.
///
/// Never changes once made, so that any thread may use it.
final class OperandLayout: @unchecked Sendable {
  let description: knedit_layout_t

  private init?(_ description: knedit_layout_t?) {
    guard let description else { return nil }
    self.description = description
  }

  /// A matrix whose values lie so far apart from row to row and column to column; nothing between them where that is not said.
  convenience init?(rows: Int, columns: Int, _ type: dnnl_data_type_t, strides: (Int, Int)? = nil) {
    let strides = strides ?? (columns, 1)
    self.init(
      knedit_layout_strided(
        2, [dnnl_dim_t(rows), dnnl_dim_t(columns)], type, [dnnl_dim_t(strides.0), dnnl_dim_t(strides.1)]))
  }

  /// A run of so many values of float32.
  convenience init?(count: Int) { self.init(knedit_layout_strided(1, [dnnl_dim_t(count)], dnnl_f32, [1])) }

  /// A matrix of these extents in whichever layout oneDNN likes best.
  convenience init?(any extents: [Int], _ type: dnnl_data_type_t) {
    self.init(knedit_layout_any(Int32(extents.count), extents.map { dnnl_dim_t($0) }, type))
  }

  /// What an operation asks for.
  convenience init?(of operation: dnnl_primitive_desc_t, _ what: dnnl_query_t) {
    self.init(knedit_layout_of(operation, what))
  }

  deinit { knedit_layout_release(description) }

  /// Bytes of memory that hold the values.
  var byteCount: Int { knedit_layout_size(description) }
}
