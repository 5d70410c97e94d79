import Checkpoint
import Neurons

/// As many uniformly random neurons as an edit took: the control that shows what the choice of neurons is worth.
public func randomNeurons(
  _ count: Int, in configuration: BERTConfiguration, using generator: inout SeededGenerator
) -> [Neuron] {
  let total = configuration.layerCount * configuration.intermediateSize
  var chosen: Set<Neuron> = []
  while chosen.count < min(count, total) {
    let position = Int.random(in: 0..<total, using: &generator)
    chosen.insert(
      Neuron(layer: position / configuration.intermediateSize, index: position % configuration.intermediateSize))
  }
  return chosen.sorted()
}
