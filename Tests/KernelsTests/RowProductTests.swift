import Kernels
import Tensors
import Testing

@Suite("Row by row")
struct RowProductTests {
  /// Whole numbers below 7, whose products and sums float32 holds exactly.
  private func matrix(_ rows: Int, _ columns: Int, from start: Int) -> Matrix {
    let result = Matrix(rows: rows, columns: columns)
    for index in 0..<rows * columns { result[index / columns, index % columns] = Float((start + 5 * index) % 13 - 6) }
    return result
  }

  @Test("each row is multiplied with its own, into one column of another matrix", arguments: [3, 16, 37])
  func products(columns: Int) {
    let (a, b) = (matrix(4, columns, from: 1), matrix(4, columns, from: 2))
    let result = Matrix(rows: 4, columns: 3)
    multiplyRows(a.all, b.all, scale: 0.5, into: result.all.columns(1, count: 1))
    for row in 0..<4 {
      let wanted = 0.5 * (0..<columns).reduce(0) { $0 + a[row, $1] * b[row, $1] }
      #expect(result.rows(row, count: 1).values == [0, wanted, 0])
    }
  }

  @Test("each row has its own factor, of what is left of the other when a row is subtracted", arguments: [3, 16, 37])
  func additions(columns: Int) {
    let (x, y, z) = (matrix(4, columns, from: 1), matrix(4, columns, from: 2), matrix(1, columns, from: 3))
    let (factors, before) = (matrix(4, 1, from: 4), x.all.values)
    add(y.all, minus: z.all, timesRows: factors.all, to: x.all)
    for (index, value) in before.enumerated() {
      let (row, column) = (index / columns, index % columns)
      #expect(x[row, column] == value + (y[row, column] - z[0, column]) * factors[row, 0])
    }
  }

  @Test("a row of weights is multiplied with and added, and columns above a bound are found", arguments: [3, 16, 37])
  func weights(columns: Int) {
    let (x, weights) = (matrix(1, columns, from: 1), matrix(5, columns, from: 2))
    let (before, row) = (x.all.values, weights.rows(3, count: 1).values)
    let tensor = Tensor(shape: [5, columns], values: weights.all.values)
    #expect(dot(x.all, row: 3, of: tensor) == Double(zip(before, row).reduce(0) { $0 + $1.0 * $1.1 }))
    #expect(Kernels.columns(of: x.all, above: 2) == before.indices.filter { before[$0] > 2 })
    add(row: 3, of: tensor, times: 2, to: x.all)
    #expect(x.all.values == zip(before, row).map { $0 + 2 * $1 })
  }
}
