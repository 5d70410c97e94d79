import Attribution

extension AttributionScores {
  /// The paper's threshold for attributions, as a share of the prompt's largest.
  public static let coarseRatio = 0.2
  /// The threshold for the baseline.
  public static let baselineRatio = 0.5

  /// The coarse set of a prompt: neurons whose score is at least `ratio` of the largest over all layers.
  public func coarseSet(ratio: Double) -> Set<Neuron> {
    let threshold = ratio * Double(largest)
    var result: Set<Neuron> = []
    for (position, value) in values.enumerated() where Double(value) >= threshold {
      result.insert(Neuron(layer: position / neurons, index: position % neurons))
    }
    return result
  }
}
