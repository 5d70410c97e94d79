import COneDNN
import Tensors

/// A matrix product by oneDNN, which picks the widest instructions of the CPU it runs on.
///
/// `result = scale · a · b` (or `+=` when accumulating), `a` `[m, k]`, `b` `[k, n]`, `result` `[m, n]`; with
/// `transposingA` (`transposingB`) the operand is given as `[k, m]` (`[n, k]`).
/// - Complexity: `m · n · k` multiply-adds.
public func multiply(
  _ a: Slice, transposingA: Bool = false, _ b: Slice, transposingB: Bool = false, scale: Float = 1,
  into result: Slice, accumulating: Bool = false
) {
  let k = transposingA ? a.rows : a.columns
  precondition((transposingA ? a.columns : a.rows) == result.rows)
  precondition((transposingB ? b.rows : b.columns) == result.columns)
  precondition((transposingB ? b.columns : b.rows) == k)
  product(
    a.pointer(0), a.stride, transposingA, b.pointer(0), b.stride, transposingB, k, scale, result, accumulating)
}

/// The product of rows with a weight matrix that the checkpoint holds.
///
/// `result = a · weight`, `a` `[m, k]`, `weight` `[k, n]`, or `[n, k]` when `transposing`.
/// - Complexity: `m · n · k` multiply-adds.
public func multiply(
  _ a: Slice, weight: Tensor, transposing: Bool, into result: Slice, accumulating: Bool = false
) {
  precondition(a.rows == result.rows && weight.shape.count == 2)
  precondition((transposing ? weight.columns : weight.rows) == a.columns)
  precondition((transposing ? weight.rows : weight.columns) == result.columns)
  weight.withUnsafeBufferPointer { values in
    guard let base = values.baseAddress else { return }
    if isFasterInPlace(rows: result.rows, transposing: transposing),
      let inPlace = ProductPrimitive.of(
        ProductPrimitive.Shape(
          rows: result.rows, inputs: a.columns, outputs: result.columns,
          operands: .plain(
            stride: a.stride, transposing: transposing, resultStride: result.stride, accumulating: accumulating)))
    {
      WorkMeter.measure(.products, operations: 2 * result.rows * result.columns * a.columns) {
        inPlace.apply(
          UnsafeMutableRawPointer(a.pointer(0)), UnsafeMutableRawPointer(mutating: base),
          into: UnsafeMutableRawPointer(result.pointer(0)))
      }
      return
    }
    if transposing, isFasterSwapped(rows: result.rows, columns: result.columns, inner: a.columns) {
      // (weight · aᵀ)ᵀ, for which the weights need not be turned.
      let swapped = Matrix(unfilled: result.columns, columns: result.rows)
      product(
        base, weight.columns, false, UnsafePointer(a.pointer(0)), a.stride, true, a.columns, 1, swapped.all, false)
      transpose(swapped, into: result, accumulating: accumulating)
      return
    }
    product(
      a.pointer(0), a.stride, false, base, weight.columns, transposing, a.columns, 1, result, accumulating)
  }
}

/// Whether `dnnl_sgemm` makes the product with a transposed matrix faster the other way round.
///
/// It turns the matrix block by block for every call, which so few rows do not earn back. Measured with one and two threads, with
/// AVX2 and with AVX-512.
private func isFasterSwapped(rows: Int, columns: Int, inner: Int) -> Bool {
  if columns > 8192 { return (14..<128).contains(rows) }
  return (14..<(inner > columns ? 128 : 48)).contains(rows)
}

/// Products with transposed weights of a multiple of so many rows are made in place, where oneDNN has such.
public let inPlaceRows = 8

/// The numbers of rows of which a product in place is faster than `dnnl_sgemm`, where oneDNN has one.
///
/// Few wait for the weights: up to a fifth, measured with AVX-512. More with transposed weights are 3 to 33 % faster; each number of
/// rows needs a product made for it, so that these are multiples of ``inPlaceRows``.
private func isFasterInPlace(rows: Int, transposing: Bool) -> Bool {
  if !transposing { return (3...24).contains(rows) }
  return (17...24).contains(rows) || (25...256).contains(rows) && rows.isMultiple(of: inPlaceRows)
}

/// Writes, or adds, the transpose of `source` to `result`.
private func transpose(_ source: Matrix, into result: Slice, accumulating: Bool) {
  WorkMeter.measure(.addition) {
    precondition(source.rows == result.columns && source.columns == result.rows)
    // Sixteen columns at a time, one cache line of each row written.
    var start = 0
    while start < result.columns {
      let count = min(laneCount, result.columns - start)
      for row in 0..<result.rows {
        let target = result.pointer(row) + start
        let values = source.base + start * source.columns + row
        for column in 0..<count {
          let value = values[column * source.columns]
          target[column] = accumulating ? target[column] + value : value
        }
      }
      start += laneCount
    }
  }
}

/// All come here with shapes already checked: every access lies within the slices and the tensor.
private func product(
  _ a: UnsafePointer<Float>, _ strideA: Int, _ transposingA: Bool, _ b: UnsafePointer<Float>, _ strideB: Int,
  _ transposingB: Bool, _ k: Int, _ scale: Float, _ result: Slice, _ accumulating: Bool
) {
  guard result.rows > 0, result.columns > 0 else { return }
  let transposed = CChar(UInt8(ascii: "T"))
  let plain = CChar(UInt8(ascii: "N"))
  var status = dnnl_success
  WorkMeter.measure(.products, operations: 2 * result.rows * result.columns * k) {
    status = dnnl_sgemm(
      transposingA ? transposed : plain, transposingB ? transposed : plain, dnnl_dim_t(result.rows),
      dnnl_dim_t(result.columns), dnnl_dim_t(k), scale, a, dnnl_dim_t(strideA), b, dnnl_dim_t(strideB),
      accumulating ? 1 : 0, result.pointer(0), dnnl_dim_t(result.stride))
  }
  precondition(status == dnnl_success, "oneDNN refused a matrix product")
}
