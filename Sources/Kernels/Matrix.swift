/// A mutable float32 matrix, row-major and 64-byte aligned, owned by one thread at a time, which may have parts that do not
/// overlap written by others (``divided(_:values:_:)``).
///
/// Kernels work on ``Slice``s of it, whose bounds are checked when they are made; that check is what makes the
/// unsafe pointers of this module sound.
public final class Matrix {
  /// Number of rows.
  public let rows: Int
  /// Number of columns, which is also the distance between rows.
  public let columns: Int
  let base: UnsafeMutablePointer<Float>
  private let memory: MatrixMemory.Block

  /// A matrix of zeros, `[rows, columns]`.
  public init(rows: Int, columns: Int) {
    precondition(rows >= 0 && columns >= 0)
    self.rows = rows
    self.columns = columns
    let count = max(rows * columns, 1)
    memory = MatrixMemory.shared.take(byteCount: count * MemoryLayout<Float>.stride)
    base = memory.start.initializeMemory(as: Float.self, repeating: 0, count: count)
  }

  /// A matrix of whatever memory holds, `[rows, columns]`.
  ///
  /// Every value must be written before it is read. In a debug build they are not numbers, so that a test sees one that
  /// was not.
  public init(unfilled rows: Int, columns: Int) {
    precondition(rows >= 0 && columns >= 0)
    self.rows = rows
    self.columns = columns
    let count = max(rows * columns, 1)
    memory = MatrixMemory.shared.take(byteCount: count * MemoryLayout<Float>.stride)
    base = memory.start.bindMemory(to: Float.self, capacity: count)
    #if DEBUG
      base.initialize(repeating: .nan, count: count)
    #endif
  }

  deinit { MatrixMemory.shared.give(memory) }

  /// The whole matrix.
  public var all: Slice { Slice(self, offset: 0, rows: rows, columns: columns, stride: columns) }

  /// Rows `start ..< start + count`.
  public func rows(_ start: Int, count: Int) -> Slice {
    Slice(self, offset: start * columns, rows: count, columns: columns, stride: columns)
  }

  /// One value.
  public subscript(row: Int, column: Int) -> Float {
    get {
      precondition(row >= 0 && row < rows && column >= 0 && column < columns)
      return base[row * columns + column]
    }
    set {
      precondition(row >= 0 && row < rows && column >= 0 && column < columns)
      base[row * columns + column] = newValue
    }
  }
}

/// A rectangular part of a ``Matrix``.
public struct Slice {
  let matrix: Matrix
  let offset: Int
  /// Number of rows.
  public let rows: Int
  /// Number of columns.
  public let columns: Int
  let stride: Int

  /// The part that starts `offset` values into the matrix, with `stride` values from one row to the next.
  ///
  /// - Precondition: every value of the part lies within the matrix.
  public init(_ matrix: Matrix, offset: Int, rows: Int, columns: Int, stride: Int) {
    precondition(offset >= 0 && rows >= 0 && columns >= 0 && stride >= columns)
    precondition(rows == 0 || offset + (rows - 1) * stride + columns <= matrix.rows * matrix.columns)
    self.matrix = matrix
    self.offset = offset
    self.rows = rows
    self.columns = columns
    self.stride = stride
  }

  /// Rows `start ..< start + count` of the slice.
  public func rows(_ start: Int, count: Int) -> Slice {
    precondition(start >= 0 && count >= 0 && start + count <= rows)
    return Slice(matrix, offset: offset + start * stride, rows: count, columns: columns, stride: stride)
  }

  /// One row of the slice.
  public func row(_ index: Int) -> Slice { rows(index, count: 1) }

  /// Columns `start ..< start + count` of the slice.
  public func columns(_ start: Int, count: Int) -> Slice {
    precondition(start >= 0 && count >= 0 && start + count <= columns)
    return Slice(matrix, offset: offset + start, rows: rows, columns: count, stride: stride)
  }

  /// A copy of the values, row after row.
  public var values: [Float] {
    var result: [Float] = []
    result.reserveCapacity(rows * columns)
    for row in 0..<rows { result.append(contentsOf: UnsafeBufferPointer(start: pointer(row), count: columns)) }
    return result
  }

  /// Copies the values of `source`, which has the same shape.
  public func copy(from source: Slice) {
    precondition(rows == source.rows && columns == source.columns)
    for row in 0..<rows { pointer(row).update(from: source.pointer(row), count: columns) }
  }

  /// Copies `source` into row `row`.
  public func copy(_ source: [Float], toRow row: Int) {
    precondition(source.count == columns && row >= 0 && row < rows)
    source.withUnsafeBufferPointer { values in
      for (column, value) in values.enumerated() { pointer(row)[column] = value }
    }
  }

  /// Start of row `row`, which the callers of this module keep below ``rows``; `columns` values follow.
  func pointer(_ row: Int) -> UnsafeMutablePointer<Float> { matrix.base + offset + row * stride }
}
