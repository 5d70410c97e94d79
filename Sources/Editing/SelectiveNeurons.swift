/// What the square of a key's norm counts beside what it does on prompts.
let selectionRidge = 1e-2

/// Second moments of activations over prompts: the mean of x xᵀ, a column at a time as it is asked for.
public final class ActivationMoments {
  /// The mean of each neuron's square.
  public let squares: [Double]
  private let rows: [[Float]]
  private var columns: [Int: [Double]] = [:]

  /// The moments of `rows`, one row a prompt with a value for each of `width` neurons.
  public init(_ rows: [[Float]], width: Int) {
    self.rows = rows
    var squares = [Double](repeating: 0, count: width)
    for row in rows { for index in 0..<width { squares[index] += Double(row[index] * row[index]) } }
    self.squares = squares.map { $0 / Double(max(1, rows.count)) }
  }

  /// The mean of x · x[neuron], a value a neuron.
  public func column(_ neuron: Int) -> [Double] {
    if let known = columns[neuron] { return known }
    var result = [Double](repeating: 0, count: squares.count)
    for row in rows {
      let factor = row[neuron] / Float(rows.count)
      if factor == 0 { continue }
      for index in result.indices { result[index] += Double(row[index] * factor) }
    }
    columns[neuron] = result
    return result
  }
}

/// Chooses neurons that fire for some prompts and not for others.
///
/// Of all choices of `count` neurons, wanted is the one whose activations x are best at telling the two apart, that is
/// for which some w makes mean (1 − w·x)² over `own` + mean (w·x)² over the neighbours + ridge · ‖w‖² smallest. Found by
/// forward selection: each step takes the neuron that lowers this most beside those already taken.
/// - Parameters:
///   - count: How many at most.
///   - candidates: The neurons to choose from, by their positions in the rows.
///   - own: Activations per prompt, one value for each neuron.
///   - neighbours: The moments of the prompts that the neurons should be silent on.
/// - Returns: The chosen positions, the most telling first.
/// - Complexity: `count · candidates · (prompts + count)` multiply-adds.
public func selectiveNeurons(
  _ count: Int, among candidates: [Int], own: [[Float]], neighbours: ActivationMoments
) -> [Int] {
  let width = candidates.count
  let own = own.map { row in candidates.map { row[$0] } }
  /// One column of the normal equations' matrix.
  func column(_ chosen: Int) -> [Double] {
    let all = neighbours.column(candidates[chosen])
    var result = candidates.map { all[$0] }
    for row in own {
      let factor = row[chosen] / Float(own.count)
      for index in 0..<width { result[index] += Double(row[index] * factor) }
    }
    result[chosen] += selectionRidge
    return result
  }
  // Conditional variance and residual correlation of every candidate, given those taken: a pivoted Cholesky
  // factorisation whose pivot is the largest gain.
  var variance = candidates.map { selectionRidge + neighbours.squares[$0] }
  var correlation = [Double](repeating: 0, count: width)
  for row in own {
    for index in 0..<width {
      variance[index] += Double(row[index] * row[index]) / Double(own.count)
      correlation[index] += Double(row[index]) / Double(own.count)
    }
  }
  var factors: [[Double]] = []
  var chosen: [Int] = []
  for _ in 0..<min(count, width) {
    var (best, gain) = (-1, 0.0)
    for index in 0..<width where variance[index] > 1e-9 {
      let own = correlation[index] * correlation[index] / variance[index]
      if own > gain, !chosen.contains(index) { (best, gain) = (index, own) }
    }
    guard best >= 0 else { break }
    var factor = column(best)
    for earlier in factors {
      let scale = earlier[best]
      for index in 0..<width { factor[index] -= scale * earlier[index] }
    }
    let pivot = variance[best].squareRoot()
    let share = correlation[best] / pivot
    for index in 0..<width {
      factor[index] /= pivot
      variance[index] -= factor[index] * factor[index]
      correlation[index] -= share * factor[index]
    }
    factors.append(factor)
    chosen.append(best)
  }
  return chosen.map { candidates[$0] }
}
