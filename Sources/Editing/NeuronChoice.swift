import Neurons

extension LocatedRelation {
  /// Fewer located facts than this, and the sharing rule would keep nothing; it does not apply then.
  static let fewestFactsForSharing = 20
  /// The share of the relation's facts that may hold a neuron.
  static let sharedLimit = 0.1

  /// The neurons to edit for a fact: its refined set less those common in the relation.
  ///
  /// A neuron stays when 1 + (the number of facts whose refined set holds it) is at most a tenth of the located facts.
  public func unsharedNeurons(of fact: LocatedFact) -> [Neuron] {
    guard facts.count >= Self.fewestFactsForSharing else { return fact.refinedSet }
    let counts = neuronCounts
    let limit = Self.sharedLimit * Double(facts.count)
    return fact.refinedSet.filter { Double(1 + (counts[$0] ?? 0)) <= limit }
  }

  /// The `count` neurons that occur in most refined sets; ties go by layer, then index.
  public func mostFrequentNeurons(_ count: Int) -> [(neuron: Neuron, facts: Int)] {
    neuronCounts.sorted { (-$0.value, $0.key) < (-$1.value, $1.key) }.prefix(count).map { ($0.key, $0.value) }
  }

  private var neuronCounts: [Neuron: Int] {
    facts.reduce(into: [:]) { counts, fact in
      for neuron in fact.refinedSet { counts[neuron, default: 0] += 1 }
    }
  }
}
