/// Rows rounded to bfloat16, `[rows, columns]`, owned by one thread at a time, which may have some of them written by others
/// (``divided(_:values:_:)``).
///
/// Every row must be written before a product reads it.
public final class RoundedRows {
  /// Number of rows.
  public let rows: Int
  /// Number of columns, which is also the distance between rows.
  public let columns: Int
  /// ``rows``, rounded up so that products come in few sizes; rows beyond ``rows`` are zero.
  let paddedRows: Int
  let base: UnsafeMutablePointer<Int16>
  private let memory: MatrixMemory.Block

  /// Products have a multiple of so many rows.
  private static let blockRows = 8

  /// Rows of whatever memory holds.
  public init(rows: Int, columns: Int) {
    precondition(rows >= 0 && columns >= 0)
    self.rows = rows
    self.columns = columns
    paddedRows = (rows + Self.blockRows - 1) / Self.blockRows * Self.blockRows
    let count = max(paddedRows * columns, 1)
    memory = MatrixMemory.shared.take(byteCount: count * MemoryLayout<Int16>.stride)
    base = memory.start.bindMemory(to: Int16.self, capacity: count)
    (base + rows * columns).update(repeating: 0, count: (paddedRows - rows) * columns)
  }

  deinit { MatrixMemory.shared.give(memory) }

  /// Writes `x − y`, or `x` alone, of the same shape, to the rows from `start` on, to the nearest bfloat16.
  public func round(_ x: Slice, minus y: Slice? = nil, at start: Int) {
    precondition(start >= 0 && start + x.rows <= rows && x.columns == columns)
    if let y { precondition(y.rows == x.rows && y.columns == columns) }
    WorkMeter.measure(.rounding) {
      for row in 0..<x.rows {
        let source = x.pointer(row)
        let subtracted = y?.pointer(row)
        let target = base + (start + row) * columns
        var column = 0
        while column + laneCount <= columns {
          var value = load(source + column, laneCount)
          if let subtracted { value -= load(subtracted + column, laneCount) }
          UnsafeMutableRawPointer(target + column).storeBytes(of: Self.rounded(value), as: SIMD16<Int16>.self)
          column += laneCount
        }
        while column < columns {
          let value = source[column] - (subtracted?[column] ?? 0)
          target[column] = Self.rounded(Lanes(repeating: value))[0]
          column += 1
        }
      }
    }
  }

  /// What rounding took off the first rows, which are those of `x` rounded.
  public func rest(of x: Slice) -> Matrix {
    precondition(x.rows <= rows && x.columns == columns)
    let result = Matrix(unfilled: x.rows, columns: columns)
    WorkMeter.measure(.rounding) {
      for row in 0..<x.rows {
        let (source, own, target) = (x.pointer(row), base + row * columns, result.all.pointer(row))
        for column in 0..<columns {
          let rounded = Float(bitPattern: UInt32(UInt16(bitPattern: own[column])) << 16)
          target[column] = source[column] - rounded
        }
      }
    }
    return result
  }

  /// The upper halves of the nearest values whose lower halves are zero; ties away from zero.
  @inline(__always)
  private static func rounded(_ value: Lanes) -> SIMD16<Int16> {
    // Shifted with the sign, the halves fit into 16 bits, which is what narrowing instructions want to know.
    let bits = unsafeBitCast(value, to: SIMD16<Int32>.self) &+ 0x8000
    return SIMD16<Int16>(truncatingIfNeeded: bits &>> 16)
  }
}
