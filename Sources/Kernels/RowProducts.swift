/// Writes `scale · Σ a ∘ b` of each row to `result`, `[rows, 1]`.
public func multiplyRows(_ a: Slice, _ b: Slice, scale: Float = 1, into result: Slice) {
  WorkMeter.measure(.products) {
    precondition(a.rows == b.rows && a.columns == b.columns && result.rows == a.rows && result.columns == 1)
    for row in 0..<a.rows {
      result.pointer(row).pointee = scale * dot(a.pointer(row), b.pointer(row), a.columns)
    }
  }
}

/// Adds to each row `factors`, `[rows, 1]`, times that of `other`, less `subtracted`, `[1, columns]`, where given.
public func add(_ other: Slice, minus subtracted: Slice? = nil, timesRows factors: Slice, to rows: Slice) {
  WorkMeter.measure(.addition) {
    precondition(other.rows == rows.rows && other.columns == rows.columns)
    precondition(factors.rows == rows.rows && factors.columns == 1)
    if let subtracted { precondition(subtracted.rows == 1 && subtracted.columns == rows.columns) }
    for row in 0..<rows.rows {
      let (x, y, factor) = (rows.pointer(row), other.pointer(row), factors.pointer(row).pointee)
      var column = 0
      while column < rows.columns {
        let count = min(laneCount, rows.columns - column)
        var value = load(y + column, count)
        if let subtracted { value -= load(subtracted.pointer(0) + column, count) }
        store(load(x + column, count) + value * factor, x + column, count)
        column += laneCount
      }
    }
  }
}
