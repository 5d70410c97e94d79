import Attribution

/// The coarse set of a prompt, with what the errors of its scores leave open.
public struct CoarseSet: Sendable {
  /// Neurons whose score is at least the threshold, a share of the largest over all layers; none where no score is above zero,
  /// since then none expresses anything.
  public private(set) var neurons: Set<Neuron>
  /// Neurons that may belong to the set or not, as far as their scores' errors and the largest score's tell.
  public var doubtful: Set<Neuron> { Set(bounds.keys) }

  /// Between what the scores of ``doubtful`` neurons lie.
  private var bounds: [Neuron: ClosedRange<Double>] = [:]
  /// Between what the threshold lies.
  private var threshold: ClosedRange<Double>
  /// The threshold as a share of the largest score.
  private let ratio: Double
  /// Layers in which the largest score may lie.
  private var layersOfLargest: Set<Int> = []

  /// The coarse set of a prompt's scores.
  ///
  /// - Parameters:
  ///   - scores: The scores.
  ///   - ratio: The threshold as a share of the largest score.
  public init(_ scores: AttributionScores, ratio: Double) {
    func neuron(_ position: Int) -> Neuron {
      Neuron(layer: position / scores.neurons, index: position % scores.neurons)
    }
    let largest = Double(scores.largest)
    neurons = []
    if largest > 0 {
      for (position, value) in scores.values.enumerated() where Double(value) >= ratio * largest {
        neurons.insert(neuron(position))
      }
    }
    self.ratio = ratio
    var least = largest
    var most = largest
    for (value, error) in zip(scores.values, scores.errors) where Double(value) + Double(error) > most {
      most = Double(value) + Double(error)
    }
    if let peak = scores.values.firstIndex(of: scores.largest), !scores.errors.isEmpty {
      least -= Double(scores.errors[peak])
    }
    threshold = ratio * least...ratio * most
    guard largest > 0 else { return }
    for (position, error) in scores.errors.enumerated() {
      let (low, high) = (
        Double(scores.values[position]) - Double(error), Double(scores.values[position]) + Double(error)
      )
      if high >= least { layersOfLargest.insert(position / scores.neurons) }
      if low < threshold.upperBound, high >= threshold.lowerBound { bounds[neuron(position)] = low...high }
    }
  }

  /// The layers whose exact scores tell more about whether `doubted` neurons belong to the set: theirs, or else, where their
  /// scores are exact, those which set the threshold.
  package func layers(telling doubted: Set<Neuron>) -> Set<Int> {
    doubted.reduce(into: []) { layers, neuron in
      guard let bounds = bounds[neuron] else { return }
      if bounds.lowerBound < bounds.upperBound {
        layers.insert(neuron.layer)
      } else {
        layers.formUnion(layersOfLargest)
      }
    }
  }

  /// Leaves less in doubt, by exact scores of `layers`.
  package mutating func settle(by exact: AttributionScores, in layers: Set<Int>) {
    if layers.isSuperset(of: layersOfLargest) {
      let value = ratio * Double(exact.largest)
      threshold = value...value
    }
    for (neuron, own) in bounds {
      let value = Double(exact.values[neuron.layer * exact.neurons + neuron.index])
      let own = layers.contains(neuron.layer) ? value...value : own
      bounds[neuron] = own
      if own.lowerBound >= threshold.upperBound {
        neurons.insert(neuron)
        bounds[neuron] = nil
      } else if own.upperBound < threshold.lowerBound {
        neurons.remove(neuron)
        bounds[neuron] = nil
      }
    }
  }
}
