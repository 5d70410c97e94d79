import BERT
import FixtureFiles
import Foundation
import Neurons
import Relations
import Testing

@testable import Editing

@Suite("The neighbours of an optimised erasure")
struct OptimizedErasureTests {
  let model: MaskedLanguageModel
  let catalogue: RelationCatalogue

  init() throws {
    model = try MaskedLanguageModel(opening: FixtureFiles.directory.appending(path: "keras"))
    catalogue = try RelationCatalogue(directory: FixtureFiles.directory.appending(path: "relations"))
  }

  private func questions(_ name: String, facts: Range<Int>) throws -> [AttributionTarget] {
    let relation = try catalogue.relation(named: name)
    return try relation.facts[facts].flatMap { fact in
      try relation.prompts(for: fact).flatMap { try model.factors($0, answer: fact.answer) }
    }
  }

  /// Relations with one prompt a fact.
  private func named(_ others: [[AttributionTarget]]) -> [OptimizedErasure.OtherRelation] {
    named(others.map { $0.map { [$0] } })
  }

  private func named(_ others: [[[AttributionTarget]]]) -> [OptimizedErasure.OtherRelation] {
    others.enumerated().map { .init(name: "\($0)", facts: $1) }
  }

  private func erasure(
    _ others: [OptimizedErasure.OtherRelation], count: Int, shares: [String: Int]? = nil
  ) throws -> OptimizedErasure {
    var optimization = SlotOptimization.erasure(layerCount: 2)
    (optimization.otherRelations, optimization.steps) = (count, 8)
    return OptimizedErasure(
      targets: try questions("R2", facts: 0..<3), answerCount: 3, answers: [], others: others,
      neighbourShares: shares,
      optimization: optimization)
  }

  @Test("each relation gives some, those that a trial disturbed most, and none more than a quarter of many")
  func shares() {
    func shares(_ count: Int, _ divergences: [Double]) -> [Int] {
      let many = divergences.map { _ in 1000 }
      return OptimizedErasure.shares(of: count, by: divergences, known: many, all: many)
    }
    #expect(shares(100, [0, 0, 0, 0]) == [25, 25, 25, 25])
    // The disturbed one a quarter of all, the others what is left.
    #expect(shares(100, [1] + Array(repeating: 0, count: 9)) == [25] + Array(repeating: 8, count: 9))
    // Of few relations one gives up to twice an even part.
    #expect(shares(90, [1, 0, 0]) == [60, 15, 15])
    // 6 of 60 and, of 140, the shares of 1, 2 and 3 in 20.
    #expect(shares(200, [1, 2, 3, 2, 2, 2, 2, 2, 2, 2]) == [13, 20, 27, 20, 20, 20, 20, 20, 20, 20])
    // No number, or a rounding below nothing, is no reason to fail.
    #expect(shares(10, [.nan, -1e-9]) == [5, 5])
  }

  @Test("each relation gives what the model knows, and the rest only where all together know too little")
  func sharesOfKnown() {
    func shares(_ known: [Int], of all: [Int]) -> [Int] {
      OptimizedErasure.shares(of: 100, by: [1, 1], known: known, all: all)
    }
    #expect(shares([10, 200], of: [50, 200]) == [10, 90])
    #expect(shares([10, 20], of: [50, 200]) == [45, 55])
    #expect(shares([10, 20], of: [15, 200]) == [15, 85])
    #expect(shares([0, 0], of: [5, 10]) == [5, 10])
  }

  @Test("facts that the model says on half of the first prompts come first, of twice as many as prompts are wanted")
  func known() throws {
    let model = try MaskedLanguageModel(opening: FixtureFiles.demo)
    let prompt = try model.encode("The capital of Ireland is [MASK].")
    let order = model.bert.predict([prompt]) { $1.logProbabilities }[0].enumerated().sorted { $0.element > $1.element }
    // The place of the answer among what the model says; 0 is said.
    func target(_ place: Int) -> AttributionTarget { AttributionTarget(prompt: prompt, answer: order[place].offset) }
    func first(_ others: [[[Int]]], _ counts: [Int]) throws -> [[String]] {
      let relations = named(others.map { $0.map { $0.map(target) } })
      return try zip(erasure(relations, count: 1).known(counts, in: model), counts).map { found, count in
        found.prompts.prefix(count).map { neighbour in
          let place = order.firstIndex { $0.offset == neighbour.target.answer } ?? -1
          return "\(place) \(neighbour.relation.map(String.init) ?? "unknown")"
        }
      }
    }
    // Known as a whole, also in the wording in which it is not said; of either kind fact after fact before the second wordings.
    #expect(
      try first([[[1], [2, 3]], [[4, 5], [0, 6, 0], [7], [0, 8, 9], [0, 10]]], [2, 7]) == [
        ["1 unknown", "2 unknown"], ["0 1", "0 1", "6 1", "10 1", "0 1", "4 unknown", "7 unknown"],
      ])
    // What the fourth prompt would say is not asked, nor whether a third fact is known where one prompt is wanted.
    #expect(try first([[[1, 0, 2, 0], [3], [0]]], [1]) == [["1 unknown"]])
    let shares = try erasure(named([[[0], [1], [0], [0]].map { $0.map(target) }]), count: 1).known([4], in: model).map(
      \.share)
    #expect(shares == [0.75])
  }

  @Test("a short trial has as many of each relation, and what it disturbed says how many the erasure has")
  func trial() throws {
    let others = [try questions("R2", facts: 3..<5), try questions("R1", facts: 0..<5)]
    let erasure = try erasure(named(others), count: 6)
    var asked: [TracedGoals] = []
    func count(_ traced: TracedGoals) -> [Int] {
      others.map { own in
        traced.goals[traced.neighbours].count { goal in own.contains { $0.prompt == goal.prompt } }
      }
    }
    let neurons = (0..<4).map { Neuron(layer: 1, index: $0) }
    let choice = erasure.choose(in: model, from: 1) { traced, targets in
      asked.append(traced)
      #expect(traced.neighbours == targets.upperBound..<traced.goals.count)
      return neurons
    }
    try #require(asked.count == 2)
    #expect(count(asked[0]) == [1, 1])
    // Neither more than both together were to give, and both something.
    #expect(count(asked[1]).allSatisfy { (1...5).contains($0) } && asked[1].neighbours.count > 2)
    #expect(asked[0].neighbours.lowerBound < asked[1].neighbours.lowerBound)
    #expect(choice.slots.map(\.index) == [0, 1, 2, 3])
    // With what it found the same is done again, without a trial.
    let shares = try #require(choice.neighbourShares)
    #expect(shares.count == 2 && asked[1].neighbours.count == shares.values.reduce(0, +))
    let again = try self.erasure(named(others), count: 6, shares: shares).choose(in: model, from: 1) { traced, _ in
      asked.append(traced)
      return neurons
    }
    #expect(asked.count == 3 && again.slots == choice.slots && again.neighbourShares == shares)
  }

  @Test("stay nearer to what they were where their weight may grow")
  func growingWeight() throws {
    let others = [try questions("R1", facts: 0..<4)]
    let before = model.bert.predict(others[0].map(\.prompt)) { $1 }
    func divergence(_ largest: Double?) throws -> Double {
      var optimization = SlotOptimization.erasure(layerCount: 2)
      (optimization.steps, optimization.neighbourWeight, optimization.largestNeighbourWeight) = (40, 1, largest)
      let slots = OptimizedErasure(
        targets: try questions("R2", facts: 0..<3), answerCount: 3, answers: [], others: named(others),
        optimization: optimization
      ).valueSlots(of: (0..<4).map { Neuron(layer: 1, index: $0) }, in: model)
      return model.replacing(slots).bert.predict(others[0].map(\.prompt)) { $1.divergence(from: before[$0]) }
        .reduce(0, +)
    }
    #expect(try divergence(100) < 0.5 * divergence(nil))
  }

  @Test("of a relation do not fall on the mean where they are pulled up")
  func pulled() throws {
    let targets = try questions("R2", facts: 0..<3)
    // What the model says, which is what it knows.
    let own = try questions("R1", facts: 0..<4).map { target in
      AttributionTarget(prompt: target.prompt, answer: model.bert.predict([target.prompt]) { $1.best }[0])
    }
    func meanChange(pullRate: Double?, seed: Int) throws -> Double {
      var optimization = SlotOptimization.erasure(layerCount: 2)
      (optimization.steps, optimization.pullRate) = (60, pullRate)
      (optimization.neighbourWeight, optimization.largestNeighbourWeight) = (1, nil)
      let slots = OptimizedErasure(
        targets: targets, answerCount: 500, answers: [], others: named([own]), optimization: optimization
      ).valueSlots(of: (seed..<seed + 4).map { Neuron(layer: 1, index: $0) }, in: model)
      func nats(_ model: MaskedLanguageModel) -> Double {
        model.bert.predict(own.map(\.prompt)) { log($1.probability(of: own[$0].answer)) }.reduce(0, +)
      }
      return (nats(model.replacing(slots)) - nats(model)) / Double(own.count)
    }
    // Which neurons make what a random model says fall is chance; some of them will do.
    let falling = try #require((0..<12).first { try meanChange(pullRate: nil, seed: $0) < -0.02 })
    #expect(try meanChange(pullRate: 0.3, seed: falling) > meanChange(pullRate: nil, seed: falling) / 2)
  }

  @Test("take turns in batches, each with its share of every relation, where all word pieces follow")
  func batches() {
    var optimization = SlotOptimization.erasure(layerCount: 2)
    optimization.neighboursPerStep = 3
    #expect(optimization.batches(Array(0..<7)) == [[0, 3, 6], [1, 4], [2, 5]])
    #expect(optimization.batches([0, 1, 2]) == [[0, 1, 2]])
    #expect(optimization.batches([Int]()) == [[]])
    optimization.neighboursPerStep = nil
    #expect(optimization.batches(Array(0..<7)) == [Array(0..<7)], "as older records do")
    (optimization.neighboursPerStep, optimization.following) = (3, .edited)
    #expect(optimization.batches(Array(0..<7)) == [Array(0..<7)])
  }

  @Test("take turns beside the erased relation's prompts, as many of these in each, until all of both had theirs")
  func ownTurns() {
    var optimization = SlotOptimization.erasure(layerCount: 2)
    (optimization.erasedPromptsPerStep, optimization.neighboursPerStep) = (2, 3)
    func turns(_ prompts: Range<Int>, _ neighbours: Range<Int>) -> [[[Int]]] {
      optimization.turns(Array(prompts), Array(neighbours)).map { [$0.prompts, $0.neighbours] }
    }
    #expect(turns(0..<3, 10..<17) == [[[0, 1], [10, 13, 16]], [[2, 0], [11, 14]], [[1, 2], [12, 15]]])
    #expect(turns(0..<5, 10..<12) == [[[0, 1], [10, 11]], [[2, 3], [10, 11]], [[4, 0], [10, 11]]])
    #expect(turns(0..<1, 10..<10) == [[[0], []]])
    optimization.erasedPromptsPerStep = nil
    #expect(turns(0..<3, 10..<14) == [[[0, 1, 2], [10, 12]], [[0, 1, 2], [11, 13]]], "as older records do")
    (optimization.erasedPromptsPerStep, optimization.form) = (2, .keyed)
    #expect(
      turns(0..<3, 10..<14) == [[[0, 1, 2], [10, 12]], [[0, 1, 2], [11, 13]]], "keys are of the first's prompts")
    (optimization.form, optimization.following) = (.free, .edited)
    #expect(turns(0..<3, 10..<14) == [[[0, 1, 2], [10, 11, 12, 13]]])
    (optimization.following, optimization.steps) = (.all, 2)
    #expect(turns(0..<3, 10..<17) == [[[0, 1], [10, 13, 16]], [[2, 0], [11, 14]]], "none without a step")
  }

  @Test("forgets the prompts that are not asked in the first step as well")
  func forgets() throws {
    let all = try questions("R2", facts: 0..<5)
    let (first, second) = (Array(all.prefix(all.count / 2)), Array(all.dropFirst(all.count / 2)))
    /// The mean distance of the second half's answers from their level, in nats.
    func distance(_ targets: [AttributionTarget]) throws -> Double {
      var optimization = SlotOptimization.erasure(layerCount: 2)
      (optimization.steps, optimization.erasedPromptsPerStep) = (100, first.count)
      let slots = OptimizedErasure(
        targets: targets, answerCount: 500, answers: [], others: [], optimization: optimization
      )
      .valueSlots(of: (0..<8).map { Neuron(layer: 1, index: $0) }, in: model)
      let found = model.replacing(slots).bert.predict(second.map(\.prompt)) { $1.probability(of: second[$0].answer) }
      return found.reduce(0) { $0 + abs(log($1 / 0.001)) } / Double(found.count)
    }
    let (asked, unasked) = try (distance(first + second), distance(first))
    #expect(asked < 0.5 * unasked)
  }

  @Test(
    "asks answers to be as likely as the others, and for half an even share where there are none or of older erasures")
  func forgetting() throws {
    let targets = try questions("R2", facts: 0..<3)
    let answers = Array(Set(targets.map(\.answer))).sorted()
    func wanted(_ forgetting: Forgetting, _ answers: [Int]) -> [OutputGoal.Wanted] {
      var optimization = SlotOptimization.erasure(layerCount: 2)
      (optimization.steps, optimization.forgetting) = (1, forgetting)
      var result: [OutputGoal.Wanted] = []
      _ = OptimizedErasure(
        targets: targets, answerCount: 7, answers: answers, others: [], optimization: optimization
      ).choose(in: model, from: 1) { traced, own in
        result = traced.goals[own].map(\.wanted)
        return [Neuron(layer: 1, index: 0)]
      }
      return result
    }
    let level = targets.map { OutputGoal.Wanted.level($0.answer, at: 0.5 / 7) }
    #expect(
      wanted(.amid, answers)
        == targets.map { target in
          .amid(
            target.answer, others: answers.filter { $0 != target.answer },
            together: SlotOptimization.erasure(layerCount: 2).answersTogether ?? 0)
        })
    #expect(wanted(.amid, []) == level && wanted(.evenShare, answers) == level)
    #expect(SlotOptimization.erasure(layerCount: 2).forgetting == .amid)
  }

  @Test("leaves an answer about as likely as the others")
  func amid() throws {
    let targets = try questions("R2", facts: 0..<3)
    let answers = Array(Set(targets.map(\.answer))).sorted()
    try #require(answers.count > 1)
    /// The mean distance from the others, in nats.
    func distance(_ model: MaskedLanguageModel) -> Double {
      let found = model.bert.predict(targets.map(\.prompt)) { index, prediction in
        let others = answers.filter { $0 != targets[index].answer }.map { log(prediction.probability(of: $0)) }
        return abs(log(prediction.probability(of: targets[index].answer)) - others.reduce(0, +) / Double(others.count))
      }
      return found.reduce(0, +) / Double(found.count)
    }
    var optimization = SlotOptimization.erasure(layerCount: 2)
    optimization.steps = 100
    let slots = OptimizedErasure(
      targets: targets, answerCount: answers.count, answers: answers, others: [], optimization: optimization
    ).valueSlots(of: (0..<8).map { Neuron(layer: 1, index: $0) }, in: model)
    #expect(distance(model.replacing(slots)) < 0.3 * distance(model))
  }

  @Test("goes on until the level is reached, also where a weight without neighbours has grown")
  func goesOn() throws {
    let target = try questions("R2", facts: 0..<1)[0]
    var optimization = SlotOptimization.erasure(layerCount: 2)
    (optimization.steps, optimization.shrinkage) = (200, 0)
    let slots = OptimizedErasure(
      targets: [target], answerCount: 500, answers: [], others: [], optimization: optimization
    )
    .valueSlots(of: (0..<8).map { Neuron(layer: 1, index: $0) }, in: model)
    let found = model.replacing(slots).bert.predict([target.prompt]) { $1.probability(of: target.answer) }[0]
    // It stops within 0.01 nats of the level among the pieces that matter, which are nearly all here.
    #expect(abs(log(found / 1e-3)) < 0.02)
  }

  @Test("stay nearer to what they were when it is not their turn as well")
  func turns() throws {
    let all = try questions("R1", facts: 0..<4)
    let before = model.bert.predict(all.map(\.prompt)) { $1 }
    /// How far the second batch of two is from what it was.
    func divergence(_ neighbours: [AttributionTarget]) throws -> Double {
      var optimization = SlotOptimization.erasure(layerCount: 2)
      (optimization.steps, optimization.neighbourWeight) = (40, 100)
      optimization.neighboursPerStep = (all.count + 1) / 2
      let slots = OptimizedErasure(
        targets: try questions("R2", facts: 0..<3), answerCount: 3, answers: [], others: named([neighbours]),
        optimization: optimization
      ).valueSlots(of: (0..<4).map { Neuron(layer: 1, index: $0) }, in: model)
      let after = model.replacing(slots).bert.predict(all.map(\.prompt)) { $1.divergence(from: before[$0]) }
      return stride(from: 1, to: all.count, by: 2).reduce(0) { $0 + after[$1] }
    }
    let first = stride(from: 0, to: all.count, by: 2).map { all[$0] }
    #expect(try divergence(all) < 0.8 * divergence(first))
  }

  @Test("are all taken, without a trial, where no more are at hand than are wanted")
  func few() throws {
    var calls = 0
    let others = [try questions("R1", facts: 0..<2)]
    _ = try erasure(named(others), count: 100).choose(in: model, from: 1) { traced, _ in
      calls += 1
      #expect(traced.neighbours.count == others[0].count)
      return [Neuron(layer: 1, index: 0)]
    }
    #expect(calls == 1)
  }

  @Test("are none where none are wanted")
  func none() throws {
    let others = [try questions("R1", facts: 0..<2), try questions("R2", facts: 3..<5)]
    let choice = try erasure(named(others), count: 0).choose(in: model, from: 1) { traced, _ in
      #expect(traced.neighbours.isEmpty)
      return [Neuron(layer: 1, index: 0)]
    }
    #expect(choice.slots.count == 1 && choice.neighbourShares == nil)
  }
}
