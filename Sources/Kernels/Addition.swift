import Tensors

/// Adds `bias` `[columns]` to every row, and `other`, of the same shape, where given.
public func add(_ bias: Tensor, _ other: Slice? = nil, to rows: Slice) {
  WorkMeter.measure(.addition) {
    precondition(bias.count == rows.columns)
    if let other { precondition(other.rows == rows.rows && other.columns == rows.columns) }
    bias.withUnsafeBufferPointer { biases in
      guard let bias = biases.baseAddress else { return }
      forEachRow(of: rows) { row in
        let x = rows.pointer(row)
        let y = other?.pointer(row)
        var column = 0
        while column < rows.columns {
          let count = min(laneCount, rows.columns - column)
          var value = load(x + column, count) + load(bias + column, count)
          if let y { value += load(y + column, count) }
          store(value, x + column, count)
          column += laneCount
        }
      }
    }
  }
}

/// Writes `a + b`, all three of the same shape.
public func add(_ a: Slice, _ b: Slice, into result: Slice) {
  WorkMeter.measure(.addition) {
    precondition(a.rows == result.rows && a.columns == result.columns)
    precondition(b.rows == result.rows && b.columns == result.columns)
    forEachRow(of: result) { row in
      let (x, y, sum) = (a.pointer(row), b.pointer(row), result.pointer(row))
      var column = 0
      while column < result.columns {
        let count = min(laneCount, result.columns - column)
        store(load(x + column, count) + load(y + column, count), sum + column, count)
        column += laneCount
      }
    }
  }
}

/// Adds `factor` times `other`, of the same shape, to `rows`.
public func add(_ other: Slice, times factor: Float = 1, to rows: Slice) {
  combine(rows, other) { $0 + $1 * factor }
}

/// Multiplies `rows` by a number.
public func scale(_ rows: Slice, by factor: Float) {
  combine(rows, rows) { value, _ in value * factor }
}

@inline(__always)
private func combine(_ rows: Slice, _ other: Slice, _ operation: (Lanes, Lanes) -> Lanes) {
  WorkMeter.measure(.addition) {
    precondition(other.rows == rows.rows && other.columns == rows.columns)
    forEachRow(of: rows) { row in
      let x = rows.pointer(row)
      let y = other.pointer(row)
      var column = 0
      while column < rows.columns {
        let count = min(laneCount, rows.columns - column)
        store(operation(load(x + column, count), load(y + column, count)), x + column, count)
        column += laneCount
      }
    }
  }
}

/// Σ a ∘ b over all values of two slices of the same shape, rows added up in double precision.
public func dot(_ a: Slice, _ b: Slice) -> Double {
  var result = 0.0
  WorkMeter.measure(.addition) {
    precondition(a.rows == b.rows && a.columns == b.columns)
    for row in 0..<a.rows {
      let (x, y) = (a.pointer(row), b.pointer(row))
      var sum = Lanes.zero
      var column = 0
      while column < a.columns {
        let count = min(laneCount, a.columns - column)
        sum += load(x + column, count) * load(y + column, count)
        column += laneCount
      }
      result += Double(sum.sum())
    }
  }
  return result
}
