import Editing
import Neurons
import Testing

@Suite("Which neurons tell a fact from its neighbours")
struct SelectiveNeuronsTests {
  private let candidates = (0..<4).map { Neuron(layer: 0, index: $0) }

  @Test("a neuron that fires for the fact alone is taken before one that fires more, but everywhere")
  func selective() {
    // 0 fires strongly for all, 1 for the fact alone, 2 for none, 3 for a neighbour alone.
    let own: [[Float]] = [[3, 1, 0, 0], [3, 1.1, 0, 0]]
    let neighbours: [[Float]] = [[3, 0, 0, 0], [3, 0.1, 0, 2]]
    #expect(selectiveNeurons(1, among: candidates, own: own, neighbours: neighbours).map(\.index) == [1])
  }

  @Test("a second neuron is one that adds to the first, not its double")
  func complementary() {
    // 0 and 1 always fire together, for the fact and a little for a neighbour; 2 fires for that neighbour alone.
    let own: [[Float]] = [[1, 1, 0, 0]]
    let neighbours: [[Float]] = [[0.5, 0.5, 1, 0], [0, 0, 0, 0]]
    #expect(selectiveNeurons(2, among: candidates, own: own, neighbours: neighbours).map(\.index) == [0, 2])
  }

  @Test("no more than asked for, and none that fires for nothing")
  func bounds() {
    #expect(selectiveNeurons(9, among: candidates, own: [[1, 0, 0, 1]], neighbours: []).map(\.index) == [0, 3])
    #expect(selectiveNeurons(3, among: [], own: [[]], neighbours: []).isEmpty)
  }
}

@Suite("Optimising several facts at once")
struct ScalingTests {
  @Test("neighbours weigh more by the square root of the facts, and one fact changes nothing")
  func scaled() {
    let one = SlotOptimization.update
    #expect(one.scaled(edits: 1, relations: 1) == one)
    let hundred = one.scaled(edits: 100, relations: 3)
    #expect(hundred.neighbourWeight == 10 * one.neighbourWeight && hundred.steps == 3 * one.steps)
    #expect(hundred.sameRelation == 3 * one.sameRelation && hundred.otherRelations == one.otherRelations)
    #expect(one.scaled(edits: 2, relations: 99).sameRelation == 2000)
  }
}
