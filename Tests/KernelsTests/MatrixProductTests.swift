import Foundation
import Kernels
import Synchronization
import Tensors
import Testing

@Suite("Matrix products")
struct MatrixProductTests {
  /// Entry (i, j) of `a · b` in double precision, with either operand read transposed.
  private func plain(
    _ a: Matrix, _ transposingA: Bool, _ b: Matrix, _ transposingB: Bool, _ i: Int, _ j: Int
  ) -> Double {
    (0..<(transposingA ? a.rows : a.columns)).reduce(0) { sum, k in
      sum + Double(transposingA ? a[k, i] : a[i, k]) * Double(transposingB ? b[j, k] : b[k, j])
    }
  }

  @Test(
    "products are those of plain loops, either way round",
    arguments: [(false, false), (false, true), (true, false), (true, true)])
  func products(transposingA: Bool, transposingB: Bool) {
    let (m, k, n) = (5, 33, 7)
    let a = ElementwiseTests.matrix(transposingA ? k : m, transposingA ? m : k, ElementwiseTests.wave)
    let b = ElementwiseTests.matrix(transposingB ? n : k, transposingB ? k : n) { cos(Double($0 * 5 + $1)) }
    let result = ElementwiseTests.matrix(m, n) { _, _ in 100 }
    multiply(
      a.all, transposingA: transposingA, b.all, transposingB: transposingB, scale: 0.5, into: result.all)
    // 33 products of numbers up to 3, summed in float32.
    for i in 0..<m {
      for j in 0..<n {
        #expect(abs(Double(result[i, j]) - 0.5 * plain(a, transposingA, b, transposingB, i, j)) < 1e-5)
      }
    }
  }

  @Test("a product of parts reads and writes those parts only, and adds when asked to")
  func parts() {
    let a = ElementwiseTests.matrix(6, 20, ElementwiseTests.wave)
    let weight = Tensor(shape: [4, 3], values: (0..<12).map { Float($0) })
    let result = ElementwiseTests.matrix(6, 8) { _, _ in 1 }
    multiply(
      a.rows(2, count: 3).columns(5, count: 4), weight: weight, transposing: false,
      into: result.rows(1, count: 3).columns(2, count: 3), accumulating: true)
    for row in 0..<6 {
      for column in 0..<8 {
        guard (1..<4).contains(row), (2..<5).contains(column) else {
          #expect(result[row, column] == 1)
          continue
        }
        let wanted =
          1
          + (0..<4).reduce(0.0) {
            $0 + Double(a[row + 1, 5 + $1]) * Double(weight.values[$1 * 3 + column - 2])
          }
        #expect(abs(Double(result[row, column]) - wanted) < 1e-4)
      }
    }
  }

  @Test(
    "a product with a weight matrix is that of plain loops, whichever way it is computed",
    arguments: [1, 3, 8, 15, 16, 18, 24, 47, 127, 200], [(40, 24), (24, 40), (3, 8200)])
  func weights(rows: Int, shape: (inner: Int, columns: Int)) {
    let (k, n) = shape
    // Parts of wider matrices, so that rows do not lie end to end.
    let a = ElementwiseTests.matrix(rows, k + 2, ElementwiseTests.wave).all.columns(1, count: k)
    let values = (0..<n * k).map { Float(cos(Double($0))) }
    for (weight, isTransposed) in [
      (Tensor(shape: [n, k], values: values), true), (Tensor(shape: [k, n], values: values), false),
    ] {
      for isAccumulating in [false, true] {
        let wide = ElementwiseTests.matrix(rows, n + 3) { row, _ in Double(row) }
        let result = wide.all.columns(2, count: n)
        multiply(a, weight: weight, transposing: isTransposed, into: result, accumulating: isAccumulating)
        for row in [0, rows / 2, rows - 1] {
          for column in stride(from: 0, to: n, by: max(1, n / 50)) {
            let wanted = (0..<k).reduce(isAccumulating ? Double(row) : 0) {
              $0 + Double(a.row(row).values[$1]) * Double(values[isTransposed ? column * k + $1 : $1 * n + column])
            }
            // Up to 40 products of numbers up to 3, and a number up to 200, in float32.
            #expect(abs(Double(wide[row, column + 2]) - wanted) < 1e-4)
          }
          #expect(wide[row, 1] == Float(row) && wide[row, n + 2] == Float(row))
        }
      }
    }
  }

  @Test("rounding takes the nearest bfloat16 of the difference", .enabled(if: RoundedMatrix.isSupported))
  func rounding() throws {
    // Eight bits of precision: 1 + 2⁻⁷ is a bfloat16; 1 + 2⁻⁹ rounds down, 1 + 3·2⁻⁹ up.
    let numbers: [Float] = [1, 1 + 0x1p-7, 1 + 0x1p-9, 1 + 3 * 0x1p-9, -3 - 0x1p-8, 0, -0x1p-20, 1e30, 5]
    let wanted: [Float] = [1, 1 + 0x1p-7, 1, 1 + 0x1p-7, -3, 0, -0x1p-20, 1e30, 5]
    let identity = Tensor(
      shape: [40, 40], values: (0..<1600).map { $0 / 40 == $0 % 40 ? 1 : 0 })
    let x = Matrix(rows: 3, columns: 40)
    let y = Matrix(rows: 3, columns: 40)
    for column in 0..<40 {
      for row in 0..<3 {
        y[row, column] = Float(row * 2)
        x[row, column] = Float(row * 2) + (row == 0 ? numbers[column % numbers.count] : Float(column))
      }
    }
    let rounded = RoundedRows(rows: 3, columns: 40)
    rounded.round(x.rows(0, count: 1), at: 0)
    rounded.round(x.rows(1, count: 2), minus: y.rows(1, count: 2), at: 1)
    let product = multiply(rounded, try #require(RoundedMatrix(identity, transposing: false)))
    for column in 0..<40 {
      // 2⁻⁸ of the number: 1e30 is no bfloat16.
      #expect(abs(product[0, column] - wanted[column % wanted.count]) <= abs(wanted[column % wanted.count]) * 0x1p-8)
      if column % wanted.count < 7 { #expect(product[0, column] == wanted[column % wanted.count]) }
      #expect(product[1, column] == Float(column) && product[2, column] == Float(column))
    }
  }

  @Test(
    "products of rounded rows are those of plain loops over rounded numbers, either way round",
    .enabled(if: RoundedMatrix.isSupported), arguments: [1, 16, 33, 200], [(33, 7), (256, 1024), (1024, 256)])
  func roundedProducts(rows: Int, shape: (inner: Int, columns: Int)) throws {
    let (k, n) = shape
    /// The nearest of 8 bits, by arithmetic.
    func nearest(_ x: Float) -> Double {
      let unit = Double(x.ulp) * 65536
      return (Double(x) / unit).rounded(.toNearestOrAwayFromZero) * unit
    }
    let a = ElementwiseTests.matrix(rows, k, ElementwiseTests.wave)
    let plain = (0..<n * k).map { Float(cos(Double($0) * 1.7)) }
    let turned = (0..<n * k).map { plain[($0 % k) * n + $0 / k] }
    let rounded = RoundedRows(rows: rows, columns: k)
    rounded.round(a.all, at: 0)
    for (weight, isTransposed) in [
      (Tensor(shape: [k, n], values: plain), false), (Tensor(shape: [n, k], values: turned), true),
    ] {
      let product = multiply(rounded, try #require(RoundedMatrix(weight, transposing: isTransposed)))
      for row in Set([0, rows / 2, rows - 1]) {
        for column in stride(from: 0, to: n, by: max(1, n / 20)) {
          let wanted = (0..<k).reduce(0.0) { $0 + nearest(a[row, $1]) * nearest(plain[$1 * n + column]) }
          // Up to 1,024 products of numbers up to 3, summed in float32.
          #expect(abs(Double(product[row, column]) - wanted) < 2e-3)
        }
      }
    }
  }

  @Test(
    "products with packed weights are those of plain loops, either way round, added to what is there or not",
    .enabled(if: PackedMatrix.isSupported), arguments: [1, 9, 33], [(33, 7), (256, 1024), (1024, 256)])
  func packedProducts(rows: Int, shape: (inner: Int, columns: Int)) throws {
    let (k, n) = shape
    let a = ElementwiseTests.matrix(rows, k + 3, ElementwiseTests.wave).all.columns(2, count: k)
    let plain = (0..<n * k).map { Float(cos(Double($0) * 1.7)) }
    let turned = (0..<n * k).map { plain[($0 % k) * n + $0 / k] }
    for (weight, isTransposed) in [
      (Tensor(shape: [k, n], values: plain), false), (Tensor(shape: [n, k], values: turned), true),
    ] {
      let packed = try #require(PackedMatrix(weight, transposing: isTransposed))
      for accumulating in [false, true] {
        let result = ElementwiseTests.matrix(rows, n + 5) { _, _ in 7 }
        multiply(a, packed, into: result.all.columns(1, count: n), accumulating: accumulating)
        for row in Set([0, rows / 2, rows - 1]) {
          for column in stride(from: 0, to: n, by: max(1, n / 20)) {
            let values = a.row(row).values
            let wanted = (0..<k).reduce(accumulating ? 7.0 : 0) {
              $0 + Double(values[$1]) * Double(plain[$1 * n + column])
            }
            // Up to 1,024 products of numbers up to 3, summed in float32.
            #expect(abs(Double(result[row, column + 1]) - wanted) < 2e-3)
          }
          #expect(result[row, 0] == 7 && result[row, n + 1] == 7, "nothing beside the slice is written")
        }
      }
    }
  }

  @Test(
    "a rounded product that one thread has made is the same when all threads share it",
    .enabled(if: RoundedMatrix.isSupported))
  func sharedProducts() throws {
    let weight = try #require(
      RoundedMatrix(
        Tensor(shape: [256, 512], values: (0..<256 * 512).map { Float(sin(Double($0))) }), transposing: false))
    let x = ElementwiseTests.matrix(96, 256, ElementwiseTests.wave)
    func product(_ threads: ThreadCount) -> [Float] {
      withProductThreads(threads) {
        let rows = RoundedRows(rows: 96, columns: 256)
        rows.round(x.all, at: 0)
        return multiply(rows, weight).all.values
      }
    }
    let alone = product(ThreadCount(1))
    // 256 products of numbers up to 3 and 1, summed in float32 in another order at most.
    #expect(zip(alone, product(.allCores)).allSatisfy { abs($0 - $1) < 1e-3 })
    #expect(product(ThreadCount(1)) == alone)
  }

  @Test("work shared between threads comes back in order", arguments: [1, 2, 5])
  func order(threads: Int) {
    #expect(concurrently(100, threads: ThreadCount(threads)) { $0 * $0 } == (0..<100).map { $0 * $0 })
    #expect(concurrently(0, threads: ThreadCount(threads)) { $0 }.isEmpty)
  }

  @Test("no more calls run at once than may")
  func atOnce() {
    let running = Mutex(0)
    let seen = concurrently(50, threads: ThreadCount(5), atOnce: 2) { _ in
      let now = running.withLock { count in
        count += 1
        return count
      }
      defer { running.withLock { $0 -= 1 } }
      // Long enough that others would be seen.
      _ = (0..<2000).reduce(0.0) { $0 + sin(Double($1)) }
      return now
    }
    #expect(seen.count == 50 && seen.allSatisfy { $0 <= 2 })
  }
}
