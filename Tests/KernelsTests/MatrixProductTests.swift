import Foundation
import Kernels
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

  @Test("work shared between threads comes back in order", arguments: [1, 2, 5])
  func order(threads: Int) {
    #expect(concurrently(100, threads: ThreadCount(threads)) { $0 * $0 } == (0..<100).map { $0 * $0 })
    #expect(concurrently(0, threads: ThreadCount(threads)) { $0 }.isEmpty)
  }
}
