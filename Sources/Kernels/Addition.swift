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

/// Adds `factor` times row `row` of `weight`, `[rows, columns]`, to one row `[1, columns]`.
public func add(row: Int, of weight: Tensor, times factor: Float = 1, to x: Slice) {
  precondition(x.rows == 1 && x.columns == weight.columns)
  withRow(row, of: weight) { y in
    var column = 0
    while column < x.columns {
      let count = min(laneCount, x.columns - column)
      store(load(x.pointer(0) + column, count) + load(y + column, count) * factor, x.pointer(0) + column, count)
      column += laneCount
    }
  }
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
    for row in 0..<a.rows { result += Double(dot(a.pointer(row), b.pointer(row), a.columns)) }
  }
  return result
}

/// Σ a ∘ b of one row `[1, columns]` and row `row` of `weight`, `[rows, columns]`.
public func dot(_ a: Slice, row: Int, of weight: Tensor) -> Double {
  precondition(a.rows == 1 && a.columns == weight.columns)
  var result = 0.0
  withRow(row, of: weight) { result = Double(dot(a.pointer(0), $0, a.columns)) }
  return result
}

/// Σ x · y of `count` values each.
func dot(_ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ count: Int) -> Float {
  var sum = Lanes.zero
  var column = 0
  while column < count {
    let lanes = min(laneCount, count - column)
    sum += load(x + column, lanes) * load(y + column, lanes)
    column += laneCount
  }
  return sum.sum()
}

/// Gives `body` the start of one row of a matrix of weights, `weight.columns` values.
private func withRow(_ row: Int, of weight: Tensor, _ body: (UnsafePointer<Float>) -> Void) {
  precondition(row >= 0 && row < weight.rows)
  WorkMeter.measure(.addition) {
    weight.withUnsafeBufferPointer { values in
      guard let base = values.baseAddress else { return }
      body(base + row * weight.columns)
    }
  }
}
