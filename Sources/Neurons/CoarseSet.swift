import Attribution

extension AttributionScores {
  /// The coarse set of a prompt: neurons whose score is at least `ratio` of the largest over all layers; none where no score is
  /// above zero, since then none expresses anything.
  public func coarseSet(ratio: Double) -> Set<Neuron> {
    guard largest > 0 else { return [] }
    let threshold = ratio * Double(largest)
    var result: Set<Neuron> = []
    for (position, value) in values.enumerated() where Double(value) >= threshold {
      result.insert(Neuron(layer: position / neurons, index: position % neurons))
    }
    return result
  }
}
