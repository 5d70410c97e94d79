import Tensors

/// Layer normalisation of every row, in place: x ← x̂·scale + shift, x̂ = (x − mean) / √(variance + ε).
///
/// For the way back, `normalized` (same shape) receives x̂ and `deviation` (`[rows, 1]`) 1 / √(variance + ε).
public func layerNormalize(
  _ rows: Slice, scale: Tensor, shift: Tensor, epsilon: Float, normalized: Slice? = nil, deviation: Slice? = nil
) {
  WorkMeter.measure(.normalization) {
    precondition(scale.count == rows.columns && shift.count == rows.columns)
    if let normalized { precondition(normalized.rows >= rows.rows && normalized.columns == rows.columns) }
    if let deviation { precondition(deviation.rows >= rows.rows && deviation.columns == 1) }
    let columns = rows.columns
    scale.withUnsafeBufferPointer { scales in
      shift.withUnsafeBufferPointer { shifts in
        guard let gamma = scales.baseAddress, let beta = shifts.baseAddress else { return }
        forEachRow(of: rows) { row in
          let x = rows.pointer(row)
          let mean = sum(columns) { load(x + $0, $1) } / Float(columns)
          let variance =
            sum(columns) { column, count in
              var centred = load(x + column, count, fill: mean) - mean
              centred *= centred
              return centred
            } / Float(columns)
          let inverse = 1 / (variance + epsilon).squareRoot()
          deviation?.pointer(row)[0] = inverse
          let kept = normalized?.pointer(row)
          var column = 0
          while column < columns {
            let count = min(laneCount, columns - column)
            let unit = (load(x + column, count) - mean) * inverse
            if let kept { store(unit, kept + column, count) }
            store(unit * load(gamma + column, count) + load(beta + column, count), x + column, count)
            column += laneCount
          }
        }
      }
    }
  }
}

/// The way back through ``layerNormalize(_:scale:shift:epsilon:normalized:deviation:)``, in place.
///
/// With ĝ = gradient ∘ scale: gradient ← deviation · (ĝ − mean(ĝ) − x̂ · mean(ĝ ∘ x̂)), row by row.
public func layerNormalizeBackward(_ gradient: Slice, scale: Tensor, normalized: Slice, deviation: Slice) {
  WorkMeter.measure(.normalization) {
    let columns = gradient.columns
    precondition(scale.count == columns && normalized.columns == columns && deviation.columns == 1)
    precondition(normalized.rows >= gradient.rows && deviation.rows >= gradient.rows)
    scale.withUnsafeBufferPointer { scales in
      guard let gamma = scales.baseAddress else { return }
      forEachRow(of: gradient) { row in
        let g = gradient.pointer(row)
        let unit = normalized.pointer(row)
        let mean = sum(columns) { load(g + $0, $1) * load(gamma + $0, $1) } / Float(columns)
        let slope =
          sum(columns) { load(g + $0, $1) * load(gamma + $0, $1) * load(unit + $0, $1) } / Float(columns)
        let inverse = deviation.pointer(row)[0]
        var column = 0
        while column < columns {
          let count = min(laneCount, columns - column)
          let scaled = load(g + column, count) * load(gamma + column, count)
          store((scaled - mean - load(unit + column, count) * slope) * inverse, g + column, count)
          column += laneCount
        }
      }
    }
  }
}

/// Sum over `columns` of the lanes that `term` gives for a column and the number of lanes in use.
@inline(__always)
private func sum(_ columns: Int, _ term: (Int, Int) -> Lanes) -> Float {
  var total = Lanes.zero
  var column = 0
  while column < columns {
    total += term(column, min(laneCount, columns - column))
    column += laneCount
  }
  return total.sum()
}
