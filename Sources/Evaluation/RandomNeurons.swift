import Checkpoint
import Neurons

/// As many uniformly random neurons, of some layers or of all, as an edit took: the control that shows what the choice
/// of neurons is worth.
public func randomNeurons(
  _ count: Int, in configuration: BERTConfiguration, layers: [Int]? = nil, using generator: inout SeededGenerator
) -> [Neuron] {
  let layers = layers ?? Array(0..<configuration.layerCount)
  let total = layers.count * configuration.intermediateSize
  var chosen: Set<Neuron> = []
  while chosen.count < min(count, total) {
    let position = Int.random(in: 0..<total, using: &generator)
    chosen.insert(
      Neuron(
        layer: layers[position / configuration.intermediateSize],
        index: position % configuration.intermediateSize))
  }
  return chosen.sorted()
}
