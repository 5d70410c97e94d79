import Neurons

/// What the square of a key's norm counts beside what it does on prompts.
let selectionRidge = 1e-2

/// Chooses neurons that fire for some prompts and not for others.
///
/// Of all choices of `count` neurons, wanted is the one whose activations x are best at telling the two apart, that is
/// for which some w makes mean (1 − w·x)² over `own` + mean (w·x)² over `neighbours` + ridge · ‖w‖² smallest. Found by
/// forward selection: each step takes the neuron that lowers this most beside those already taken.
/// - Parameters:
///   - count: How many at most.
///   - candidates: The neurons to choose from.
///   - own: Activations per prompt, one value a candidate.
///   - neighbours: The same for the prompts that the neurons should be silent on.
/// - Complexity: `count · candidates · (prompts + count)` multiply-adds.
public func selectiveNeurons(
  _ count: Int, among candidates: [Neuron], own: [[Float]], neighbours: [[Float]]
) -> [Neuron] {
  let ridge = selectionRidge
  let width = candidates.count
  /// One column of the normal equations' matrix.
  func column(_ chosen: Int) -> [Double] {
    var result = [Double](repeating: 0, count: width)
    for group in [own, neighbours] where !group.isEmpty {
      for row in group {
        let factor = row[chosen] / Float(group.count)
        for index in 0..<width { result[index] += Double(row[index] * factor) }
      }
    }
    result[chosen] += ridge
    return result
  }
  // Conditional variance and residual correlation of every candidate, given those taken: a pivoted Cholesky
  // factorisation whose pivot is the largest gain.
  var variance = [Double](repeating: ridge, count: width)
  var correlation = [Double](repeating: 0, count: width)
  for group in [own, neighbours] {
    for row in group {
      for index in 0..<width { variance[index] += Double(row[index] * row[index]) / Double(group.count) }
    }
  }
  for row in own { for index in 0..<width { correlation[index] += Double(row[index]) / Double(own.count) } }
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
  return chosen.map { candidates[$0] }.sorted()
}
