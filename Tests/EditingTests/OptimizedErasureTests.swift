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

  private func named(_ others: [[AttributionTarget]]) -> [OptimizedErasure.OtherRelation] {
    others.enumerated().map { .init(name: "\($0)", prompts: $1) }
  }

  private func erasure(
    _ others: [[AttributionTarget]], count: Int, shares: [String: Int]? = nil, keepsAnswers: Bool? = nil
  ) throws -> OptimizedErasure {
    var optimization = SlotOptimization.erasure(layerCount: 2)
    (optimization.otherRelations, optimization.steps) = (count, 8)
    optimization.keepsAnswers = keepsAnswers ?? optimization.keepsAnswers
    return OptimizedErasure(
      targets: try questions("R2", facts: 0..<3), answerCount: 3, answers: [], others: named(others),
      neighbourShares: shares,
      optimization: optimization)
  }

  @Test("each relation gives some, those that a trial disturbed most, and none more than a quarter of many")
  func shares() {
    #expect(OptimizedErasure.shares(of: 100, by: [0, 0, 0, 0]) == [25, 25, 25, 25])
    // A tenth each of 30, and the disturbed one a quarter of all.
    #expect(
      OptimizedErasure.shares(of: 100, by: [1] + Array(repeating: 0, count: 9)) == [25] + Array(repeating: 3, count: 9))
    // Of few relations one gives up to twice an even part.
    #expect(OptimizedErasure.shares(of: 90, by: [1, 0, 0]) == [60, 9, 9])
    // 3 of 30 and, of 70, the shares of 1, 2 and 3 in 20.
    #expect(
      OptimizedErasure.shares(of: 100, by: [1, 2, 3, 2, 2, 2, 2, 2, 2, 2]) == [7, 10, 14, 10, 10, 10, 10, 10, 10, 10])
    // No number, or a rounding below nothing, is no reason to fail.
    #expect(OptimizedErasure.shares(of: 10, by: [.nan, -1e-9]) == [5, 5])
  }

  @Test(
    "prompts whose answer the model knows come first, of twice as many as are wanted: said, or of some P where answers are kept",
    arguments: [false, true])
  func known(keepsAnswers: Bool) throws {
    let model = try MaskedLanguageModel(opening: FixtureFiles.demo)
    let all = try ["Ireland", "Norway", "France", "Italy", "Spain", "Japan", "Kenya"].map {
      try model.encode("The capital of \($0) is [MASK].")
    }
    let predictions = model.bert.predict(all) { $1 }
    func target(_ index: Int, known: Bool) throws -> AttributionTarget {
      let order = predictions[index].logProbabilities.enumerated().sorted { $0.element > $1.element }.map(\.offset)
      let isKept = order.map { predictions[index].probability(of: $0) >= OptimizedErasure.leastKnown }
      let place = keepsAnswers ? try #require(isKept.lastIndex(of: known)) : known ? 0 : 1
      return AttributionTarget(prompt: all[index], answer: order[place])
    }
    func first(_ others: [[(index: Int, known: Bool)]], _ counts: [Int]) throws -> [[EncodedPrompt]] {
      let others = try others.map { try $0.map { try target($0.index, known: $0.known) } }
      return try erasure(others, count: 1, keepsAnswers: keepsAnswers).knownFirst(counts, in: model).map {
        $0.map(\.prompt)
      }
    }
    #expect(
      try first([[(0, false), (1, false), (2, true), (3, true), (4, true)], [(5, false), (6, false)]], [2, 1])
        == [[all[2], all[3]], [all[5]]])
    // A known one beyond twice the number is not looked at.
    #expect(try first([[(0, false), (1, false), (2, true)]], [1]) == [[all[0]]])
  }

  @Test("a short trial has as many of each relation, and what it disturbed says how many the erasure has")
  func trial() throws {
    let others = [try questions("R2", facts: 3..<5), try questions("R1", facts: 0..<5)]
    let erasure = try erasure(others, count: 6)
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
    let again = try self.erasure(others, count: 6, shares: shares).choose(in: model, from: 1) { traced, _ in
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
    func meanChange(of answer: Int, pullRate: Double?) throws -> Double {
      let own = try questions("R1", facts: 0..<4).map { AttributionTarget(prompt: $0.prompt, answer: answer) }
      var optimization = SlotOptimization.erasure(layerCount: 2)
      (optimization.steps, optimization.pullRate) = (60, pullRate)
      (optimization.neighbourWeight, optimization.largestNeighbourWeight) = (1, nil)
      let slots = OptimizedErasure(
        targets: targets, answerCount: 500, answers: [], others: named([own]), optimization: optimization
      ).valueSlots(of: (0..<4).map { Neuron(layer: 1, index: $0) }, in: model)
      func nats(_ model: MaskedLanguageModel) -> Double {
        model.bert.predict(own.map(\.prompt)) { log($1.probability(of: answer)) }.reduce(0, +)
      }
      return (nats(model.replacing(slots)) - nats(model)) / Double(own.count)
    }
    // Which answers fall in a random model is chance; one of them will do.
    let falling = try #require((10..<60).first { try meanChange(of: $0, pullRate: nil) < -0.05 })
    #expect(try meanChange(of: falling, pullRate: 0.3) > meanChange(of: falling, pullRate: nil) / 2)
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
    _ = try erasure(others, count: 100).choose(in: model, from: 1) { traced, _ in
      calls += 1
      #expect(traced.neighbours.count == others[0].count)
      return [Neuron(layer: 1, index: 0)]
    }
    #expect(calls == 1)
  }

  @Test("are none where none are wanted")
  func none() throws {
    let others = [try questions("R1", facts: 0..<2), try questions("R2", facts: 3..<5)]
    let choice = try erasure(others, count: 0).choose(in: model, from: 1) { traced, _ in
      #expect(traced.neighbours.isEmpty)
      return [Neuron(layer: 1, index: 0)]
    }
    #expect(choice.slots.count == 1 && choice.neighbourShares == nil)
  }
}
