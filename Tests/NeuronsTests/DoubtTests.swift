import Attribution
import Neurons
import Testing

@Suite("What errors of scores leave open")
struct DoubtTests {
  private func neuron(_ layer: Int, _ index: Int) -> Neuron { Neuron(layer: layer, index: index) }

  /// Two layers of three: the largest is 0.98 to 1.02, so that a fifth is 0.196 to 0.204.
  private let scores = AttributionScores(
    layers: 2, neurons: 3, values: [1, 0.5, 0.197, 0.203, 0.21, 0.19], errors: [0.02, 0.1, 0, 0.002, 0.001, 0.007])

  @Test("a neuron is in doubt where its score's errors and the largest one's could carry one over the other")
  func doubtful() {
    let set = CoarseSet(scores, ratio: 0.2)
    #expect(set.neurons == [neuron(0, 0), neuron(0, 1), neuron(1, 0), neuron(1, 1)])
    #expect(set.doubtful == [neuron(0, 2), neuron(1, 0), neuron(1, 2)])
    let exact = AttributionScores(layers: 2, neurons: 3, values: scores.values)
    #expect(CoarseSet(exact, ratio: 0.2).doubtful.isEmpty)
    #expect(CoarseSet(exact, ratio: 0.2).neurons == set.neurons)
  }

  @Test("errors of an answer's pieces add up")
  func pieces() {
    let sum = AttributionScores(sumOf: [scores, scores])
    #expect(sum.values == scores.values.map { 2 * $0 } && sum.errors == scores.errors.map { 2 * $0 })
  }

  @Test("doubt is settled by a neuron's own layer, and by the largest score's where that does not tell")
  func settling() {
    var set = CoarseSet(scores, ratio: 0.2)
    #expect(set.layers(telling: [neuron(1, 0)]) == [1])
    #expect(set.layers(telling: [neuron(0, 2)]) == [0], "exact already, so that the threshold is asked for")
    // 0.2041 is above any threshold; 0.1961 may be above it or not.
    set.settle(
      by: AttributionScores(layers: 2, neurons: 3, values: [0, 0, 0, 0.2041, 0.21, 0.1961]), in: [1])
    #expect(set.doubtful == [neuron(0, 2), neuron(1, 2)])
    #expect(set.neurons == [neuron(0, 0), neuron(0, 1), neuron(1, 0), neuron(1, 1)])
    #expect(set.layers(telling: [neuron(1, 2)]) == [0])
    set.settle(by: AttributionScores(layers: 2, neurons: 3, values: [0.982, 0.5, 0.197, 0, 0, 0]), in: [0])
    #expect(set.doubtful.isEmpty)
    #expect(set.neurons == [neuron(0, 0), neuron(0, 1), neuron(0, 2), neuron(1, 0), neuron(1, 1)])
  }

  @Test("a neuron that seemed to belong to a set is taken out where its exact score is below the threshold")
  func removal() {
    var set = CoarseSet(scores, ratio: 0.2)
    set.settle(by: AttributionScores(layers: 2, neurons: 3, values: [1, 0.5, 0.19, 0.1999, 0.21, 0.19]), in: [0, 1])
    #expect(set.neurons == [neuron(0, 0), neuron(0, 1), neuron(1, 1)] && set.doubtful.isEmpty)
  }

  /// The coarse set of a prompt with these neurons of layer 0, those of `doubtful` in doubt.
  private func set(_ neurons: [Int], doubtful: [Int]) -> CoarseSet {
    var values = Array(repeating: Float(0), count: 20)
    var errors = values
    for index in neurons { values[index] = 0.5 }
    for index in doubtful { (values[index], errors[index]) = (neurons.contains(index) ? 0.21 : 0.19, 0.02) }
    values[19] = 1
    return CoarseSet(AttributionScores(layers: 1, neurons: 20, values: values, errors: errors), ratio: 0.2)
  }

  private func decisive(_ sets: [[CoarseSet]]) -> [DecisiveNeurons] {
    Refinement(coarseSets: sets.map { $0.map(\.neurons) }).decisive(in: sets)
  }

  @Test("doubt matters where as many prompts share a neuron as are needed, or one too few, as it is settled")
  func onTheEdge() {
    // Of ten prompts seven are needed. For certain 0 is in six, 1 in seven and 2 in five; each may be in one more.
    let sets = (0..<10).map { prompt in
      set(
        (prompt < 6 ? [0] : []) + (prompt < 7 ? [1] : []) + (prompt < 5 ? [2] : []),
        doubtful: prompt == 9 ? [0, 1, 2] : [])
    }
    #expect(decisive([sets]) == [DecisiveNeurons(fact: 0, prompt: 9, neurons: [neuron(0, 0)])])
    // Where it is taken for a member, it is asked about in the same way.
    let members = (0..<10).map { prompt in set(prompt < 7 ? [0] : [], doubtful: prompt == 2 ? [0] : []) }
    #expect(decisive([members]) == [DecisiveNeurons(fact: 0, prompt: 2, neurons: [neuron(0, 0)])])
  }

  @Test("a round that was not the last matters where its mean size could have been the last one's")
  func earlierRounds() {
    // The largest and 4 more are in all prompts; at p = 0.7 neurons 5 to 8 are in seven, at 0.75 none of these is.
    func sets(doubtful: [Int]) -> [CoarseSet] {
      (0..<10).map { prompt in
        set([0, 1, 2, 3] + (prompt < 7 ? [5, 6, 7, 8] : []), doubtful: prompt == 3 ? doubtful : [])
      }
    }
    // Without all four in doubt the mean stays above 5 in any case.
    #expect(decisive([sets(doubtful: [5])]).isEmpty)
    #expect(
      decisive([sets(doubtful: [5, 6, 7, 8])])
        == [DecisiveNeurons(fact: 0, prompt: 3, neurons: Set((5...8).map { neuron(0, $0) }))])
  }
}
