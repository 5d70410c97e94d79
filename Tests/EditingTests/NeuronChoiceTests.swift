import Editing
import Neurons
import Testing

@Suite("Which neurons are edited")
struct NeuronChoiceTests {
  /// A relation of facts with the given neurons, by index in layer 0.
  private func located(_ sets: [[Int]]) -> LocatedRelation {
    LocatedRelation(
      relation: "R", p: 0.7, meanSize: 0, rule: "riemann", steps: 20,
      facts: sets.enumerated().map { index, set in
        LocatedFact(subject: "\(index)", answer: "a", neurons: set.map { .init(layer: 0, index: $0, prompts: 1) })
      })
  }

  @Test("1 + the facts that hold a neuron may be a tenth of the located facts, no more")
  func sharing() {
    // 30 facts: a neuron may be in 2 of them. 1 is in one fact, 2 in two, 3 in three.
    var sets = [[Int]](repeating: [], count: 30)
    sets[0] = [1, 2, 3]
    sets[1] = [2, 3]
    sets[2] = [3]
    let relation = located(sets)
    #expect(relation.unsharedNeurons(of: relation.facts[0]).map(\.index) == [1, 2])
    #expect(relation.unsharedNeurons(of: relation.facts[2]).isEmpty)
  }

  @Test("with 19 located facts the rule does not apply, with 20 it does")
  func fewFacts() {
    for (count, kept) in [(19, [1, 2]), (20, [1])] {
      var sets = [[Int]](repeating: [], count: count)
      sets[0] = [1, 2]
      sets[1] = [2]
      let relation = located(sets)
      #expect(relation.unsharedNeurons(of: relation.facts[0]).map(\.index) == kept)
    }
  }

  @Test("the most frequent neurons come first, ties by layer and index")
  func frequent() {
    var relation = located([[5, 9], [9, 2], [9]])
    relation.facts[0].neurons.append(.init(layer: 1, index: 0, prompts: 1))
    #expect(
      relation.mostFrequentNeurons(3).map(\.neuron)
        == [Neuron(layer: 0, index: 9), Neuron(layer: 0, index: 2), Neuron(layer: 0, index: 5)])
    #expect(relation.mostFrequentNeurons(10).map(\.facts) == [3, 1, 1, 1])
  }
}
