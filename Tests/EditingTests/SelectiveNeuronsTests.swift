import Foundation
import Testing

@testable import Editing

@Suite("Which neurons tell a fact from its neighbours")
struct SelectiveNeuronsTests {
  private func chosen(_ count: Int, among candidates: [Int] = [0, 1, 2, 3], own: [[Float]], neighbours: [[Float]])
    -> [Int]
  {
    selectiveNeurons(count, among: candidates, own: own, neighbours: ActivationMoments(neighbours, width: 4))
  }

  @Test("a neuron that fires for the fact alone is taken before one that fires more, but everywhere")
  func selective() {
    // 0 fires strongly for all, 1 for the fact alone, 2 for none, 3 for a neighbour alone.
    let own: [[Float]] = [[3, 1, 0, 0], [3, 1.1, 0, 0]]
    let neighbours: [[Float]] = [[3, 0, 0, 0], [3, 0.1, 0, 2]]
    #expect(chosen(1, own: own, neighbours: neighbours) == [1])
  }

  @Test("a second neuron is one that adds to the first, not its double")
  func complementary() {
    // 0 and 1 always fire together, for the fact and a little for a neighbour; 2 fires for that neighbour alone.
    let own: [[Float]] = [[1, 1, 0, 0]]
    let neighbours: [[Float]] = [[0.5, 0.5, 1, 0], [0, 0, 0, 0]]
    #expect(chosen(2, own: own, neighbours: neighbours) == [0, 2])
  }

  @Test("only candidates are taken, whatever the others would tell")
  func candidates() {
    let neighbours: [[Float]] = [[3, 0, 0, 0], [3, 0.1, 0, 2]]
    #expect(chosen(1, among: [0, 2, 3], own: [[3, 1, 0.5, 0]], neighbours: neighbours) == [2])
  }

  @Test("no more than asked for, and none that fires for nothing")
  func bounds() {
    #expect(Set(chosen(9, own: [[1, 0, 0, 1]], neighbours: [])) == [0, 3])
    #expect(chosen(3, among: [], own: [[1, 1, 1, 1]], neighbours: []).isEmpty)
  }
}

@Suite("What steers an optimisation")
struct SlotOptimizationTests {
  @Test(
    "the subject's layers are the model's middle, or those given, unless they are upper ones",
    arguments: [
      (SubjectLayers.middle, 1, 6, [2, 3]), (.middle, 1, 12, [5, 6]), (.middle, 1, 5, [2]), (.middle, 1, 2, [0]),
      (.middle, 2, 2, []), (.numbers([1, 3]), 2, 6, [1, 3]), (.numbers([2, 4]), 2, 6, [2]), (.absent, 2, 6, []),
    ])
  func subjectLayers(layers: SubjectLayers, upper: Int, of count: Int, expected: [Int]) throws {
    var optimization = SlotOptimization.update
    (optimization.layers, optimization.subjectLayers) = (upper, layers)
    #expect(optimization.subjectLayers(count) == expected)
    #expect(optimization.editedLayers(count) == expected + (count - upper..<count))
    #expect(SubjectLayers(rawValue: layers.rawValue) == layers)
    if layers == .numbers([2, 4]) {
      #expect(throws: EditError.noSubjectLayer(4, below: 4)) { try optimization.requireLayers(count) }
    } else {
      try optimization.requireLayers(count)
    }
    optimization.layers = count + 1
    #expect(throws: EditError.tooManyLayers(count + 1, of: count)) { try optimization.requireLayers(count) }
  }

  @Test(
    "layers are told by words or by numbers, and by nothing else", arguments: ["", "2,", "-1", "1,1", "upper", "1.5"])
  func noLayers(text: String) {
    #expect(SubjectLayers(rawValue: text) == nil)
    #expect(SubjectLayers(rawValue: "3, 1") == .numbers([1, 3]))
  }

  @Test("an erasure edits the upper two thirds of the layers", arguments: [(1, 1), (2, 1), (4, 3), (6, 4), (12, 8)])
  func erasedLayers(count: Int, expected: Int) throws {
    let optimization = SlotOptimization.erasure(layerCount: count)
    #expect(optimization.layers == expected && optimization.isSound)
    try optimization.requireLayers(count)
  }

  @Test("a record of before there were keys, or subjects' layers, means what was done then")
  func olderRecords() throws {
    let json =
      #"{"slots": 32, "layers": 2, "confidence": 0.95, "steps": 30, "rate": 0.05, "neighbourWeight": 40,"#
      + #""sameRelation": 150, "otherRelations": 250}"#
    let found = try JSONDecoder().decode(SlotOptimization.self, from: Data(json.utf8))
    #expect(
      found.form == .free && found.subjectLayers == .absent && found.sameSubject == 0 && found.shortened == 0
        && !found.insists)
    let oneLayer = json.replacing(#""layers": 2,"#, with: #""layers": 2, "subjectLayer": "3","#)
    #expect(
      try JSONDecoder().decode(SlotOptimization.self, from: Data(oneLayer.utf8)).subjectLayers == .numbers([3]))
    #expect(found.isSound && found.heeded >= 1_000_000, "all neighbours, however many")
    #expect(found.following == .all && found.largestNeighbourWeight == nil && found.neighboursPerStep == nil)
    #expect(found.forgottenShare == nil && found.erasedPrompts == nil && found.erasedPromptsPerStep == nil)
    #expect(
      found.forgetting == .evenShare && found.answersTogether == nil && !found.keepsAnswers && found.pullRate == nil)
    for now in [SlotOptimization.update, .erasure(layerCount: 6)] {
      #expect(try JSONDecoder().decode(SlotOptimization.self, from: JSONEncoder().encode(now)) == now)
    }
  }

  @Test("numbers that no optimisation can be run with are refused")
  func unsound() {
    let changes: [(inout SlotOptimization) -> Void] = [
      { $0.forgottenShare = .infinity }, { $0.answersTogether = 1 }, { $0.rate = 0 },
      { $0.shrinkage = -1 }, { $0.neighbourWeight = -20 }, { $0.erasedPromptsPerStep = 0 },
    ]
    for change in changes {
      var erasure = SlotOptimization.erasure(layerCount: 6)
      #expect(erasure.isSound)
      change(&erasure)
      #expect(!erasure.isSound)
    }
  }

  @Test("an erasure's weight of neighbours grows while the relation is forgotten and falls back while it is not")
  func nextWeight() {
    var erasure = SlotOptimization.erasure(layerCount: 6)
    (erasure.neighbourWeight, erasure.largestNeighbourWeight, erasure.forgottenShare) = (20, 30, nil)
    var weights = [20.0]
    for said in [1, 0.02, 0.01, 0, 0, 0, 0.011, 0.5, 0.5, 0.5, 0.5] {
      weights.append(erasure.nextWeight(weights[weights.count - 1], shareSaid: said, isLate: false))
    }
    #expect(weights[1] == 20 && weights[2] == 20 && weights[3] == 23 && weights[6] == 30 && weights[7] < 30)
    #expect(weights.last == 20, "never below the one that is given")
    erasure.forgottenShare = 0.1
    #expect(erasure.nextWeight(20, shareSaid: 0.1, isLate: false) == 23)
    #expect(erasure.nextWeight(20, shareSaid: 0.15, isLate: false) == 20)
    #expect(erasure.nextWeight(20, shareSaid: 0.15, byChance: 0.15, isLate: false) == 23, "of few answers")
    #expect(erasure.nextWeight(20, shareSaid: 0.15, byChance: 0.12, isLate: false) == 20)
    erasure.overChance = nil
    #expect(erasure.nextWeight(20, shareSaid: 0.15, byChance: 0.12, isLate: false) == 23, "as older records do")
    // One that is given stays, however large it is.
    (erasure.neighbourWeight, erasure.largestNeighbourWeight) = (60, 30)
    #expect(erasure.nextWeight(60, shareSaid: 0, isLate: true) == 60)
    erasure.largestNeighbourWeight = nil
    #expect(erasure.nextWeight(20, shareSaid: 0, isLate: true) == 20, "as older records do")
  }

  @Test("an update's weight of neighbours falls from half of the steps on, as long as its answers are not said")
  func insists() {
    var update = SlotOptimization.update
    update.neighbourWeight = 46
    #expect(update.nextWeight(46, shareSaid: 0, isLate: false) == 46)
    #expect(update.nextWeight(46, shareSaid: 1, isLate: true) == 46)
    #expect(update.nextWeight(46, shareSaid: 0.99, isLate: true) == 46, "a batch may leave one in a hundred")
    #expect(abs(update.nextWeight(46, shareSaid: 0.9, isLate: true) - 40) < 1e-9)
    #expect(update.nextWeight(20, shareSaid: 0.9, isLate: true) == 0.4 * 46, "which is left at least")
    update.insists = false
    #expect(update.nextWeight(46, shareSaid: 0, isLate: true) == 46, "as older records do")
  }
}

@Suite("Optimising several facts at once")
struct ScalingTests {
  @Test("neighbours weigh more with more facts, by less than their number, and one fact changes nothing")
  func scaled() {
    let one = SlotOptimization.update
    #expect(one.scaled(edits: 1, relations: 1, pieces: 1) == one)
    let hundred = one.scaled(edits: 100, relations: 3, pieces: 1)
    #expect((20...50).contains(hundred.neighbourWeight / one.neighbourWeight) && hundred.steps == 3 * one.steps)
    #expect(hundred.sameRelation == 3 * one.sameRelation && hundred.otherRelations == one.otherRelations)
    let twoPieces = one.scaled(edits: 1, relations: 1, pieces: 2)
    #expect(twoPieces.steps == 2 * one.steps && twoPieces.heeded == 2 * one.heeded)
    #expect(one.scaled(edits: 2, relations: 99, pieces: 1).sameRelation == 2000)
    #expect(one.scaled(edits: 5, relations: 1, pieces: 1).heeded == 5 * one.heeded)
    #expect(one.shortened == 4 && hundred.shortened == 4, "four of each where they are not too many in all")
    #expect(one.scaled(edits: 200, relations: 3, pieces: 1).shortened == 2)
    #expect(one.scaled(edits: 1000, relations: 34, pieces: 1).shortened == 0)
    #expect(hundred.sameSubject == 20 && one.scaled(edits: 9999, relations: 1, pieces: 1).sameSubject == 1)
    var all = one
    (all.heeded, all.sameRelation) = (.max, .max)
    #expect(all.scaled(edits: 5, relations: 5, pieces: 1).heeded == .max && !all.isSound)
  }
}
