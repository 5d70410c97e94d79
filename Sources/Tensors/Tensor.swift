/// A read-only float32 array, row-major, of one or two dimensions.
public struct Tensor: Sendable {
  /// The extents, outermost first: `[rows, columns]`, or `[count]` for a vector.
  public let shape: [Int]
  private let storage: TensorStorage
  private let offset: Int

  /// Number of values, the product of the extents.
  public var count: Int { shape.reduce(1, *) }
  /// The outermost extent; 1 for a vector.
  public var rows: Int { shape.count > 1 ? shape[0] : 1 }
  /// The innermost extent.
  public var columns: Int { shape.last ?? 1 }
  /// Whether the values lie in a mapped file.
  public var isMapped: Bool { storage.isMapped }

  /// A tensor over a part of `storage`.
  ///
  /// - Precondition: `offset` (in values, not bytes) and the product of `shape` lie within the storage.
  public init(shape: [Int], storage: TensorStorage, offset: Int = 0) {
    precondition(shape.allSatisfy { $0 >= 0 } && offset >= 0 && offset + shape.reduce(1, *) <= storage.count)
    self.shape = shape
    self.storage = storage
    self.offset = offset
  }

  /// A tensor that holds a copy of `values`.
  ///
  /// - Precondition: there are as many values as the product of `shape`.
  public init(shape: [Int], values: [Float]) {
    precondition(values.count == shape.reduce(1, *))
    let storage = TensorStorage(count: values.count) { buffer in _ = buffer.update(from: values) }
    self.init(shape: shape, storage: storage)
  }

  /// Calls `body` with the values, valid during the call only: `count` of them, row after row.
  package func withUnsafeBufferPointer<Result, Failure: Error>(
    _ body: (UnsafeBufferPointer<Float>) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let result: Swift.Result<Result, Failure>
    do throws(Failure) {
      result = .success(try body(UnsafeBufferPointer(start: storage.base + offset, count: count)))
    } catch {
      result = .failure(error)
    }
    return try withExtendedLifetime(storage) { () throws(Failure) in try result.get() }
  }

  /// A copy of one row.
  ///
  /// - Precondition: `row` is below ``rows``.
  public func row(_ row: Int) -> [Float] {
    precondition(row >= 0 && row < rows)
    return withUnsafeBufferPointer { Array($0[row * columns..<(row + 1) * columns]) }
  }

  /// Some of the outermost extent, rows of a matrix or values of a vector; shares the memory.
  ///
  /// - Precondition: `range` lies within it.
  public func part(_ range: Range<Int>) -> Tensor {
    precondition(range.lowerBound >= 0 && range.upperBound <= shape.first ?? 0)
    let inner = shape.dropFirst().reduce(1, *)
    return Tensor(
      shape: [range.count] + shape.dropFirst(), storage: storage, offset: offset + range.lowerBound * inner)
  }

  /// A copy of one column.
  ///
  /// - Precondition: `column` is below ``columns``.
  public func column(_ column: Int) -> [Float] {
    precondition(column >= 0 && column < columns)
    return withUnsafeBufferPointer { values in (0..<rows).map { values[$0 * columns + column] } }
  }

  /// A copy of all values, row after row.
  public var values: [Float] { withUnsafeBufferPointer { Array($0) } }
}

extension Tensor {
  /// Index of the first value that is a NaN or an infinity, nil when all are finite.
  ///
  /// - Complexity: reads all bytes once, sixteen values at a time.
  public var firstNonFinite: Int? {
    withUnsafeBufferPointer { values in
      let mask = SIMD16<UInt32>(repeating: 0x7f80_0000)
      var start = 0
      if let base = values.baseAddress {
        // Every read of sixteen values ends at or before `values.count`.
        while start + 16 <= values.count {
          let bits = UnsafeRawPointer(base + start).loadUnaligned(as: SIMD16<UInt32>.self)
          if any((bits & mask) .== mask) { break }
          start += 16
        }
      }
      return values[start...].firstIndex { !$0.isFinite }
    }
  }
}
