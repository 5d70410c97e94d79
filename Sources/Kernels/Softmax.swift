import Foundation

/// Replaces every row by its softmax.
public func softmax(_ rows: Slice) {
  let vectorised = VectorPrimitive.softmax(count: rows.columns, logarithm: false)
  WorkMeter.measure(.softmax) {
    forEachRow(of: rows) { row in
      let x = rows.pointer(row)
      if let vectorised {
        vectorised.apply(x)
        return
      }
      let total = exponentiate(x, rows.columns, subtracting: maximum(x, rows.columns))
      let scale = 1 / total
      var column = 0
      while column < rows.columns {
        let count = min(laneCount, rows.columns - column)
        store(load(x + column, count) * scale, x + column, count)
        column += laneCount
      }
    }
  }
}

/// The way back through a softmax: `gradient` with respect to the probabilities becomes that with respect to the
/// logits before they were multiplied by `scale`: scale · p ∘ (g − Σ g ∘ p), row by row.
public func softmaxBackward(_ gradient: Slice, probabilities: Slice, scale: Float) {
  WorkMeter.measure(.softmax) {
    precondition(gradient.rows == probabilities.rows && gradient.columns == probabilities.columns)
    forEachRow(of: gradient) { row in
      let g = gradient.pointer(row)
      let p = probabilities.pointer(row)
      var sum = Lanes.zero
      var column = 0
      while column < gradient.columns {
        let count = min(laneCount, gradient.columns - column)
        sum += load(g + column, count) * load(p + column, count)
        column += laneCount
      }
      let mean = sum.sum()
      column = 0
      while column < gradient.columns {
        let count = min(laneCount, gradient.columns - column)
        store((load(g + column, count) - mean) * load(p + column, count) * scale, g + column, count)
        column += laneCount
      }
    }
  }
}

/// Replaces every row of logits by its log-softmax.
public func logSoftmax(_ rows: Slice) {
  let vectorised = VectorPrimitive.softmax(count: rows.columns, logarithm: true)
  WorkMeter.measure(.softmax) {
    forEachRow(of: rows) { row in
      let x = rows.pointer(row)
      if let vectorised {
        vectorised.apply(x)
        return
      }
      let top = maximum(x, rows.columns)
      let scratch = Matrix(unfilled: 1, columns: rows.columns)
      scratch.base.update(from: x, count: rows.columns)
      let shift = top + log(exponentiate(scratch.base, rows.columns, subtracting: top))
      var column = 0
      while column < rows.columns {
        let count = min(laneCount, rows.columns - column)
        store(load(x + column, count) - shift, x + column, count)
        column += laneCount
      }
    }
  }
}

/// The largest value of every row.
public func maxima(_ rows: Slice) -> [Float] {
  var result: [Float] = []
  WorkMeter.measure(.softmax) { result = (0..<rows.rows).map { maximum(rows.pointer($0), rows.columns) } }
  return result
}

/// The largest of `count` values.
private func maximum(_ x: UnsafePointer<Float>, _ count: Int) -> Float {
  var top = Lanes(repeating: -.infinity)
  var index = 0
  while index < count {
    // Lanes' own pointwiseMax goes through them one by one.
    let values = load(x + index, min(laneCount, count - index), fill: -.infinity)
    top.replace(with: values, where: values .> top)
    index += laneCount
  }
  return top.max()
}

/// Replaces `count` values by e^(x − shift) and returns their sum.
private func exponentiate(_ x: UnsafeMutablePointer<Float>, _ count: Int, subtracting shift: Float) -> Float {
  var sum = Lanes.zero
  var index = 0
  while index + laneCount <= count {
    let e = exponential(load(x + index, laneCount) - shift)
    store(e, x + index, laneCount)
    sum += e
    index += laneCount
  }
  var rest: Float = 0
  if index < count {
    let e = exponential(load(x + index, count - index) - shift)
    store(e, x + index, count - index)
    for lane in 0..<(count - index) { rest += e[lane] }
  }
  return sum.sum() + rest
}
