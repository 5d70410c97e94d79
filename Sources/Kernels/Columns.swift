/// A copy of some columns of `rows`, in their order, `[rows, columns]`.
public func gatherColumns(_ rows: Slice, _ columns: [Int]) -> Matrix {
  precondition(columns.allSatisfy { (0..<rows.columns).contains($0) })
  let result = Matrix(unfilled: rows.rows, columns: columns.count)
  for row in 0..<rows.rows {
    let (source, target) = (rows.pointer(row), result.all.pointer(row))
    for (position, column) in columns.enumerated() { target[position] = source[column] }
  }
  return result
}

/// Adds `values`, `[rows, columns]`, to some columns of `rows`.
public func add(_ values: Slice, toColumns columns: [Int], of rows: Slice) {
  WorkMeter.measure(.addition) {
    precondition(values.rows == rows.rows && values.columns == columns.count)
    precondition(columns.allSatisfy { (0..<rows.columns).contains($0) })
    for row in 0..<rows.rows {
      let (source, target) = (values.pointer(row), rows.pointer(row))
      for (position, column) in columns.enumerated() { target[column] += source[position] }
    }
  }
}

/// The columns of one row, `[1, columns]`, in which it is larger than `least`.
public func columns(of row: Slice, above least: Double) -> [Int] {
  precondition(row.rows == 1)
  var result: [Int] = []
  WorkMeter.measure(.addition) {
    let x = row.pointer(0)
    let bound = Lanes(repeating: Float(least))
    var start = 0
    while start < row.columns {
      let count = min(laneCount, row.columns - start)
      // Few rows have any, and no sixteen columns in most.
      if any(load(x + start, count, fill: -.infinity) .> bound) {
        for column in start..<start + count where x[column] > bound[0] { result.append(column) }
      }
      start += laneCount
    }
  }
  return result
}
