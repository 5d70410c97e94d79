import Attribution
import Neurons
import Testing

@Suite("Coarse and refined sets")
struct RefinedSetTests {
  /// `count` distinct neurons from `start` on.
  private func neurons(_ start: Int, _ count: Int) -> Set<Neuron> {
    Set((start..<start + count).map { Neuron(layer: 0, index: $0) })
  }

  @Test("a coarse set takes scores of at least the ratio of the largest over all layers")
  func coarse() {
    let scores = AttributionScores(layers: 2, neurons: 3, values: [1, 0.25, -5, 0.2, 0.19, 0.5])
    #expect(
      CoarseSet(scores, ratio: 0.25).neurons
        == [Neuron(layer: 0, index: 0), Neuron(layer: 0, index: 1), Neuron(layer: 1, index: 2)])
    // Where nothing is expressed, nothing is.
    let nothing = AttributionScores(layers: 1, neurons: 3, values: [0, 0, -1], errors: [1, 1, 1])
    #expect(CoarseSet(nothing, ratio: 0.2).neurons.isEmpty && CoarseSet(nothing, ratio: 0.2).doubtful.isEmpty)
    #expect(AttributionScores.coarseRatio == 0.2 && AttributionScores.baselineRatio == 0.5)
  }

  @Test("a mean size within [2, 5] at p = 0.7 ends after one round")
  func oneRound() {
    // 3 neurons in all 10 prompts, 1 in seven, 1 in six.
    let sets = (0..<10).map { prompt in
      neurons(0, 3).union(prompt < 7 ? neurons(10, 1) : []).union(prompt < 6 ? neurons(20, 1) : [])
    }
    let refinement = Refinement(coarseSets: [sets])
    #expect(refinement.p == 0.7)
    #expect(refinement.meanSize == 4)
    #expect(refinement.sets[0].map(\.neuron.index) == [0, 1, 2, 10])
    #expect(refinement.sets[0].map(\.prompts) == [10, 10, 10, 7])
  }

  @Test("p rises while sets are too large and falls while they are too small")
  func moving() {
    // 9 neurons in 14 of 20 prompts (0.7), 3 in 16 (0.8): at 0.75 only the latter stay.
    let large = (0..<20).map { ($0 < 14 ? neurons(0, 9) : []).union($0 < 16 ? neurons(50, 3) : []) }
    #expect(abs(Refinement(coarseSets: [large]).p - 0.75) < 1e-12)
    #expect(Refinement(coarseSets: [large]).sets[0].count == 3)
    let small = (0..<20).map { $0 < 12 ? neurons(0, 3) : neurons(100 * $0, 3) }
    #expect(abs(Refinement(coarseSets: [small]).p - 0.6) < 1e-12)
    #expect(Refinement(coarseSets: [small]).sets[0].count == 3)
  }

  @Test("after six rounds the last sets stand, and p is the one they were made with")
  func sixRounds() {
    let never = (0..<10).map { neurons(100 * $0, 4) }
    let refinement = Refinement(coarseSets: [never])
    #expect(abs(refinement.p - 0.45) < 1e-9)
    #expect(refinement.sets == [[]])
    let always = [[Set<Neuron>]](repeating: [Set<Neuron>](repeating: neurons(0, 30), count: 10), count: 2)
    #expect(abs(Refinement(coarseSets: always).p - 0.95) < 1e-9)
    #expect(Refinement(coarseSets: always).meanSize == 30)
  }

  @Test("at least three prompts must share a neuron, or all of fewer")
  func floor() {
    // With 4 prompts 0.7 · 4 = 2.8, but three are needed; with two prompts both.
    let four = [neurons(0, 3), neurons(0, 3), neurons(0, 2), neurons(1, 1)]
    #expect(Refinement(coarseSets: [four]).sets[0].map(\.neuron.index) == [0, 1])
    let two = [neurons(0, 3), neurons(1, 3)]
    #expect(Refinement(coarseSets: [two]).sets[0].map(\.neuron.index) == [1, 2])
  }

  @Test("p moves for the relation's mean, not for one fact")
  func relationMean() {
    let ample = [Set<Neuron>](repeating: neurons(0, 8), count: 10)
    let none = (0..<10).map { neurons(100 * $0, 1) }
    let refinement = Refinement(coarseSets: [ample, none])
    #expect(refinement.p == 0.7)
    #expect(refinement.meanSize == 4)
    #expect(refinement.sets.map(\.count) == [8, 0])
  }
}
