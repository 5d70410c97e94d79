/// Neurons of one prompt's coarse set whose doubt leaves a refined set open.
package struct DecisiveNeurons: Sendable, Equatable {
  /// The fact.
  package let fact: Int
  /// The prompt, among the fact's.
  package let prompt: Int
  /// Which of its doubtful neurons.
  package let neurons: Set<Neuron>

  /// Names them.
  package init(fact: Int, prompt: Int, neurons: Set<Neuron>) {
    (self.fact, self.prompt, self.neurons) = (fact, prompt, neurons)
  }
}

extension Refinement {
  /// Which doubtful neurons of coarse sets the refined sets hang on: those that as many prompts share as are needed, or too
  /// few, as doubt may be settled.
  ///
  /// A round that was not the last counts too where the mean size it ended with may have been another, on the other
  /// side of a bound.
  ///
  /// - Parameter coarseSets: The coarse sets of each fact's prompts that were refined.
  package func decisive(in coarseSets: [[CoarseSet]]) -> [DecisiveNeurons] {
    /// Of a neuron, in how many of a fact's coarse sets it is for certain, and in how many it may be.
    typealias Counts = [Neuron: (least: Int, most: Int)]
    let counts = coarseSets.map { sets in
      var counts: Counts = [:]
      for set in sets {
        for neuron in set.neurons.subtracting(set.doubtful) { counts[neuron, default: (0, 0)].least += 1 }
        for neuron in set.neurons.union(set.doubtful) { counts[neuron, default: (0, 0)].most += 1 }
      }
      return counts
    }
    var open = coarseSets.map { _ in Set<Neuron>() }
    for (round, p) in shares.enumerated() {
      var size = (least: 0, most: 0)
      let openHere = zip(coarseSets, counts).map { sets, counts in
        let needed = Self.needed(p, of: sets.count)
        size.least += counts.values.count { Double($0.least) >= needed }
        size.most += counts.values.count { Double($0.most) >= needed }
        return Set(counts.filter { Double($0.value.least) < needed && Double($0.value.most) >= needed }.keys)
      }
      /// Whether the next round asks for less, the same or more.
      func step(_ size: Int) -> Int {
        let mean = Double(size) / Double(max(1, coarseSets.count))
        return mean < Self.wanted.lowerBound ? -1 : mean > Self.wanted.upperBound ? 1 : 0
      }
      guard round == shares.count - 1 || step(size.least) != step(size.most) else { continue }
      for fact in open.indices { open[fact].formUnion(openHere[fact]) }
    }
    return zip(coarseSets, open).enumerated().flatMap { fact, pair in
      pair.0.enumerated().compactMap { prompt, set in
        let neurons = set.doubtful.intersection(pair.1)
        return neurons.isEmpty ? nil : DecisiveNeurons(fact: fact, prompt: prompt, neurons: neurons)
      }
    }
  }
}
