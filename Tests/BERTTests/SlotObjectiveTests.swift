import BERT
import Checkpoint
import FixtureFiles
import Foundation
import Kernels
import Testing

@Suite("Goals of value slots")
struct SlotObjectiveTests {
  private func goals(_ model: MaskedLanguageModel) throws -> [OutputGoal] {
    return try Golden.all().enumerated().map { index, golden in
      let wanted: OutputGoal.Wanted =
        switch index % 4 {
        case 0: .answer(golden.answerId, atLeast: 0.99)
        case 1: index > 4 ? .keeping(golden.answerId) : .unchanged
        case 2:
          .amid(
            golden.answerId, others: [3, 8, 20, 41].filter { $0 != golden.answerId },
            together: index > 4 ? 0.999 : 0)
        default: .level(golden.answerId, at: 1e-4)
        }
      let prompt = try model.encode(golden.text)
      return OutputGoal(
        prompt: prompt.naming([prompt.ids[1]]), wanted: wanted, weight: Double(index + 1))
    }
  }

  @Test(
    "gradients are those of finite differences of the loss, in the last layer, in a lower one, and in both",
    arguments: [[(1, 30)], [(0, 3)], [(0, 3), (1, 30), (0, 8)]], FollowedPieces.allCases)
  func finiteDifferences(places: [(Int, Int)], following: FollowedPieces) throws {
    let model = try Fixture.open()
    let traced = TracedGoals(
      model.bert, try goals(model), from: try #require(places.map(\.0).min()), following: following)
    let objective = SlotObjective(traced, slots: places.map { (layer: $0.0, index: $0.1) })
    // Away from where nothing has moved, since there the divergence from before is flat.
    var changes = places.map { _ in (0..<16).map { Float($0 % 5) * 0.1 - 0.2 } }
    let result = objective.evaluate(changes)
    for slot in places.indices {
      for column in [0, 7, 15] {
        func loss(_ by: Float) -> Double {
          changes[slot][column] += by
          defer { changes[slot][column] -= by }
          return objective.evaluate(changes).loss
        }
        // A step of 1e-2 keeps float32 noise (1e-6 of a loss of 100) and curvature both below the tolerance.
        let slope = (loss(1e-2) - loss(-1e-2)) / 2e-2
        #expect(abs(slope - Double(result.gradients[slot][column])) < 0.02 * max(1, abs(slope)))
      }
    }
  }

  @Test(
    "prompts are misled where an answer is wanted and the pieces left out have too much of P, until they look at all")
  func misled() throws {
    let model = try Fixture.open()
    let goals = try goals(model)
    let traced = TracedGoals(model.bert, goals, from: 0)
    let change = (0..<16).map { Float($0) * 0.1 - 0.8 }
    let slots = [(layer: 0, index: 5)]
    let some = SlotObjective(traced, slots: slots, pieces: [3, 8, 20])
    let before = model.bert.weights.valueSlot(layer: 0, index: 5)
    let moved = model.replacing([ValueSlot(layer: 0, index: 5, values: zip(before, change).map { $0 + $1 })])
    let wanting = goals.indices.filter { goals[$0].wantsAnswer }
    let shares = moved.bert.predict(wanting.map { goals[$0].prompt }) { _, prediction in
      1 - some.pieces.reduce(0.0) { $0 + prediction.probability(of: $1) }
    }
    // Away from the shares by more than float32 sums of 89 numbers below 1 are off.
    for limit in shares.flatMap({ [$0 - 1e-4, $0 + 1e-4] }) {
      let wanted = zip(wanting, shares).filter { $0.1 > limit }.map(\.0)
      #expect(some.misled([change], leavingOut: limit) == Set(wanted))
    }
    let looking = SlotObjective(traced, slots: slots, pieces: [3, 8, 20], lookingAtAll: Set(wanting))
    #expect(looking.misled([change], leavingOut: 0).isEmpty)
  }

  @Test("goals that look at all pieces have the loss and the gradients of an objective over all pieces")
  func lookingAtAll() throws {
    let model = try Fixture.open()
    let traced = TracedGoals(model.bert, try goals(model), from: 0)
    let slots = [(layer: 0, index: 5)]
    let change = [(0..<16).map { Float($0) * 0.1 - 0.8 }]
    let every = Set(0..<model.tokenizer.vocabulary.count)
    let all = SlotObjective(traced, slots: slots, pieces: every).evaluate(change)
    let looking = SlotObjective(traced, slots: slots, pieces: [3], lookingAtAll: Set(traced.goals.indices)).evaluate(
      change)
    let few = SlotObjective(traced, slots: slots, pieces: [3]).evaluate(change)
    // The same sums in the same order.
    #expect(looking.loss == all.loss && looking.gradients == all.gradients)
    #expect(abs(few.loss - all.loss) > 1e-3)
  }

  @Test(
    "moved slots give what a model with those slots gives, also when lower ones might have moved",
    arguments: [(0, 0), (1, 1), (1, 0)])
  func replacing(layer: Int, lowest: Int) throws {
    let model = try Fixture.open()
    let golden = try #require(try Golden.all().first)
    let goal = OutputGoal(
      prompt: try model.encode(golden.text), wanted: .answer(golden.answerId, atLeast: 0.99), weight: 1)
    let change = (0..<16).map { Float($0) * 0.02 - 0.1 }
    let objective = SlotObjective(
      TracedGoals(model.bert, [goal], from: lowest), slots: [(layer: layer, index: 5)])
    let found = try #require(objective.evaluate([change]).answers[0]?.probability)
    let slot = model.bert.weights.valueSlot(layer: layer, index: 5)
    let edited = model.replacing([ValueSlot(layer: layer, index: 5, values: zip(slot, change).map { $0 + $1 })])
    let wanted = edited.bert.predict([goal.prompt]) { $1.probability(of: golden.answerId) }[0]
    // Word pieces with P < 10⁻³ are left out: of the fixture's 89 they can make no more than 9 % together, here 1 %.
    #expect(abs(found - wanted) < 0.02 * wanted)
  }

  @Test(
    "when only [MASK] and the subject's last piece follow, every other row stays in every layer what it was",
    arguments: [0, 1, 2, 3])
  func followingEdited(lowest: Int) throws {
    let (model, bert) = (try Fixture.open(), try Fixture.fourLayers())
    let prompts = try ["the capital of orvia is [MASK] .", "[MASK] is the capital of orvia ."].map { text in
      let prompt = try model.encode(text)
      return prompt.naming(model.subject("orvia"))
    }
    let answer = try #require(try Golden.all().first).answerId
    let goals = prompts.map { OutputGoal(prompt: $0, wanted: .answer(answer, atLeast: 0.99), weight: 1) }
    // One slot of the lowest edited layer and one above it, unless that is the last.
    let slots = [(layer: lowest, index: 5), (layer: min(lowest + 1, 3), index: 7)]
    let changes = slots.map { slot in (0..<16).map { Float(($0 * 7 + slot.layer) % 5) * 0.2 - 0.4 } }
    func probabilities(_ following: FollowedPieces) -> [Double] {
      SlotObjective(TracedGoals(bert, goals, from: lowest, following: following), slots: slots)
        .evaluate(changes).answers.compactMap { $0?.probability }
    }
    let edited = bert.replacing(
      zip(slots, changes).map { slot, change in
        let before = bert.weights.valueSlot(layer: slot.layer, index: slot.index)
        return ValueSlot(layer: slot.layer, index: slot.index, values: zip(before, change).map { $0 + $1 })
      })
    let found = probabilities(.edited)
    let all = probabilities(.all)
    for (index, prompt) in prompts.enumerated() {
      let subject = try #require(prompt.subject)
      let plain = SlowBERT(weights: bert.weights, configuration: bert.configuration).run(prompt.ids, mask: prompt.mask)
      let wanted = SlowBERT(weights: edited.weights, configuration: bert.configuration).run(
        prompt.ids, mask: prompt.mask, others: plain.inputs, following: [subject]
      ).probabilities[answer]
      // Word pieces with P < 10⁻³ are left out of the softmax: of the fixture's 89, here 2 % together at most.
      #expect(abs(found[index] - wanted) < 0.02 * wanted)
      // In the last layer only [MASK] matters.
      #expect(lowest == 3 ? found[index] == all[index] : abs(found[index] - all[index]) > 1e-4 * wanted)
    }
  }

  @Test("activations at the subject and elsewhere are those of that word piece, which may be [MASK] itself")
  func positions() throws {
    let model = try Fixture.open()
    let prompt = try model.encode("the capital of orvia is [MASK] .")
    let mask = prompt.ids[prompt.mask]
    func activations(_ prompt: EncodedPrompt, before: Int = 0, at position: PromptPosition) -> [Float] {
      let goals = (0...before).map { _ in OutputGoal(prompt: prompt, wanted: .unchanged, weight: 1) }
      return TracedGoals(model.bert, goals, from: 0).activations(
        of: [0, 3, 9].map { (layer: 0, index: $0) }, goals: before..<before + 1, at: position)[0]
    }
    // The same arithmetic, in passes of other sizes.
    func isNear(_ a: [Float], _ b: [Float]) -> Bool { zip(a, b).allSatisfy { abs($0 - $1) < 1e-5 } }
    let wanted = activations(prompt, at: .mask)
    #expect(isNear(activations(prompt.naming([mask]), at: .subject), wanted))
    #expect(isNear(activations(prompt.naming([99_999]), at: .subject), wanted), "not named, so asked at [MASK]")
    #expect(!isNear(activations(prompt.naming([prompt.ids[1]]), at: .subject), wanted))
    // Goal n looks at word piece 1 + n.
    #expect(isNear(activations(prompt, before: prompt.mask - 1, at: .elsewhere), wanted))
    #expect(isNear(activations(prompt, at: .elsewhere), activations(prompt.naming([prompt.ids[1]]), at: .subject)))
  }

  @Test("a prompt's response to keys is the largest at any of its word pieces, or that at [MASK]")
  func responses() throws {
    let model = try Fixture.open()
    let prompts = try ["the capital of orvia is [MASK] .", "a crow is a [MASK] bird ."].map { try model.encode($0) }
    let goals = prompts.map { OutputGoal(prompt: $0, wanted: .unchanged, weight: 1) }
    let traced = TracedGoals(model.bert, goals, from: 0)
    let neurons = [(layer: 0, index: 3), (layer: 0, index: 9)]
    let keys: [[Float]] = [[1, 0.5], [-2, 1]]
    func respond(_ x: [Float]) -> Float { keys.map { abs($0[0] * x[0] + $0[1] * x[1]) }.max() ?? 0 }
    for (index, prompt) in prompts.enumerated() {
      let own = index..<index + 1
      let asElsewhere = prompt.ids.indices.dropFirst().dropLast().map { position in
        // Goal n looks at word piece 1 + n.
        let all = (0..<position).map { _ in goals[index] }
        return TracedGoals(model.bert, all, from: 0).activations(
          of: neurons, goals: position - 1..<position, at: .elsewhere)[0]
      }
      let ends = [prompt.ids.first, prompt.ids.last].compactMap { $0 }.map {
        TracedGoals(
          model.bert, [OutputGoal(prompt: prompt.naming([$0]), wanted: .unchanged, weight: 1)], from: 0
        ).activations(of: neurons, goals: 0..<1, at: .subject)[0]
      }
      let anywhere = traced.responses(of: keys, neurons: neurons, goals: own, at: .subject)[0]
      let atMask = traced.responses(of: keys, neurons: neurons, goals: own, at: .mask)[0]
      #expect(abs(anywhere - ((asElsewhere + ends).map(respond).max() ?? 0)) < 1e-5)
      #expect(abs(atMask - respond(asElsewhere[prompt.mask - 1])) < 1e-5 && atMask <= anywhere)
    }
  }

  @Test("a layer above the lowest can be known in whole, as it is where it is the lowest")
  func wholeLayers() throws {
    let model = try MaskedLanguageModel(opening: FixtureFiles.demo)
    let prompts = try ["The capital of Ireland is [MASK].", "[MASK] is the capital of Norway."].map {
      try model.encode($0)
    }
    let goals = prompts.map { OutputGoal(prompt: $0, wanted: .unchanged, weight: 1) }
    let neurons = [0, 77, 511].map { (layer: 2, index: $0) }
    let lowest = TracedGoals(model.bert, goals, from: 2)
    let above = TracedGoals(model.bert, goals, from: 0, wholeLayers: [2])
    let keys: [[Float]] = [[1, -2, 3]]
    // The same arithmetic in the same passes.
    #expect(
      above.activations(of: neurons, goals: 0..<2, at: .elsewhere)
        == lowest.activations(of: neurons, goals: 0..<2, at: .elsewhere))
    #expect(
      above.responses(of: keys, neurons: neurons, goals: 0..<2, at: .subject)
        == lowest.responses(of: keys, neurons: neurons, goals: 0..<2, at: .subject))
  }

  @Test("activations are those of a whole pass, in the traced layers", arguments: [0, 1])
  func activations(lowest: Int) throws {
    let model = try Fixture.open()
    let goals = try goals(model)
    let width = model.bert.configuration.intermediateSize
    let whole = model.bert.activations(goals.map(\.prompt))
    let neurons = (lowest..<2).flatMap { layer in [0, 3, width - 1].map { (layer: layer, index: $0) } }
    let found = TracedGoals(model.bert, goals, from: lowest).activations(of: neurons, goals: 1..<goals.count)
    #expect(found.count == goals.count - 1)
    for (row, expected) in zip(found, whole.dropFirst()) {
      // The same arithmetic, in passes of other sizes.
      for (value, neuron) in zip(row, neurons) {
        #expect(abs(value - expected[neuron.layer * width + neuron.index]) < 1e-5)
      }
    }
  }

  @Test("what is reached costs nothing, and what has not moved does not diverge")
  func nothingToDo() throws {
    let model = try Fixture.open()
    let golden = try #require(try Golden.all().first)
    let prompt = try model.encode(golden.text)
    let p = exponential(golden.logProbabilities[golden.answerId])
    let goals = [
      OutputGoal(prompt: prompt, wanted: .answer(golden.answerId, atLeast: 0.9 * p), weight: 2),
      OutputGoal(prompt: prompt, wanted: .unchanged, weight: 3),
    ]
    let objective = SlotObjective(TracedGoals(model.bert, goals, from: 0), slots: [(layer: 0, index: 0)])
    let result = objective.evaluate([[Float](repeating: 0, count: 16)])
    // Float32 logarithms.
    #expect(abs(result.loss) < 1e-5)
    #expect(result.gradients[0].allSatisfy { abs($0) < 1e-5 })
    // Word pieces with P < 10⁻³ are left out.
    #expect(abs((result.answers[0]?.probability ?? 0) - p) < 0.02 * p && result.answers[1] == nil)
  }

  @Test("a factor of the neighbours multiplies the loss and the gradients of these goals alone")
  func neighbourFactor() throws {
    let model = try Fixture.open()
    let goals = try goals(model)
    let change = (0..<16).map { Float($0 % 5) * 0.1 - 0.2 }
    func run(_ goals: [OutputGoal], factor: Double) -> SlotGradients {
      SlotObjective(TracedGoals(model.bert, goals, from: 0), slots: [(layer: 0, index: 3)])
        .evaluate([change], neighbourFactor: factor)
    }
    let found = run(goals, factor: 7)
    let weighted = goals.map { goal in
      if goal.wantsNoChange {
        OutputGoal(prompt: goal.prompt, wanted: goal.wanted, weight: 7 * goal.weight)
      } else {
        goal
      }
    }
    let expected = run(weighted, factor: 1)
    #expect(found.loss == expected.loss && found.gradients == expected.gradients)
    #expect(found.loss > run(goals, factor: 1).loss)
  }

  @Test(
    "a relation's pull takes so much of the slope of ln P of its answers that are kept off theirs, and nothing off the loss"
  )
  func pulls() throws {
    let model = try Fixture.open()
    let goals = try Golden.all().enumerated().map { index, golden in
      OutputGoal(
        prompt: try model.encode(golden.text), wanted: index == 3 ? .unchanged : .keeping(golden.answerId),
        weight: Double(index + 1), relation: index % 3 == 0 ? nil : index % 3 - 1)
    }
    let objective = SlotObjective(TracedGoals(model.bert, goals, from: 0), slots: [(layer: 0, index: 3)])
    // Relations beyond those that have a pull have none.
    let (pulls, factor) = ([0.7], 2.0)
    var change = (0..<16).map { Float($0 % 5) * 0.1 - 0.2 }
    let (with, without) = (
      objective.evaluate([change], neighbourFactor: factor, pulls: pulls),
      objective.evaluate([change], neighbourFactor: factor)
    )
    #expect(with.loss == without.loss && with.changes == without.changes)
    #expect(with.changes[3] == nil && with.changes.compactMap { $0 }.count == goals.count - 1)
    for column in [0, 7, 15] {
      /// Σ weight · factor · pull · ln P, but for what it was.
      func pulled(_ by: Float) -> Double {
        change[column] += by
        defer { change[column] -= by }
        return zip(goals, objective.evaluate([change]).changes).reduce(0) {
          $0 + ($1.0.relation == 0 ? $1.0.weight * factor * pulls[0] * ($1.1 ?? 0) : 0)
        }
      }
      let slope = (pulled(1e-2) - pulled(-1e-2)) / 2e-2
      let found = Double(without.gradients[0][column] - with.gradients[0][column])
      // As in the test of finite differences above; the difference of two gradients is off by float32 of either.
      #expect(abs(slope - found) < 0.02 * max(0.1, abs(slope)))
      #expect(column != 0 || abs(found) > 1e-3)
    }
  }

  @Test("an answer that is kept costs half the square of what its ln P changes by, besides the divergence")
  func keeping() throws {
    let model = try Fixture.open()
    let prompt = try model.encode(try #require(Golden.all().first).text)
    let change = (0..<16).map { Float($0 % 5) * 2 - 4 }
    let before = model.bert.weights.valueSlot(layer: 0, index: 3)
    let moved = model.replacing([ValueSlot(layer: 0, index: 3, values: zip(before, change).map { $0 + $1 })])
    let every = Set(0..<model.tokenizer.vocabulary.count)
    func loss(_ wanted: OutputGoal.Wanted) -> Double {
      let goal = OutputGoal(prompt: prompt, wanted: wanted, weight: 3)
      return SlotObjective(TracedGoals(model.bert, [goal], from: 0), slots: [(layer: 0, index: 3)], pieces: every)
        .evaluate([change], neighbourFactor: 2).loss
    }
    for piece in [3, 20, 41] {
      func nats(_ model: MaskedLanguageModel) -> Double {
        log(model.bert.predict([prompt]) { $1.probability(of: piece) }[0])
      }
      let found = loss(.keeping(piece)) - loss(.unchanged)
      let wanted = 3 * 2 * pow(nats(moved) - nats(model), 2) / 2
      // float32 logarithms of a few units, squared.
      #expect(wanted > 0.01 && abs(found - wanted) < 1e-3 * max(1, wanted))
    }
  }

  @Test(
    "an answer amid others costs as much as ln P is from the mean of theirs, and is said where none of them is likelier"
  )
  func amid() throws {
    let model = try Fixture.open()
    let prompt = try model.encode(try #require(Golden.all().first).text)
    let prediction = model.bert.predict([prompt]) { $1 }[0]
    let pieces = [3, 8, 20].sorted { prediction.probability(of: $0) > prediction.probability(of: $1) }
    func run(_ own: Int, _ others: [Int]) -> SlotGradients {
      let goal = OutputGoal(prompt: prompt, wanted: .amid(own, others: others), weight: 3)
      return SlotObjective(TracedGoals(model.bert, [goal], from: 0), slots: [(layer: 0, index: 3)])
        .evaluate([[Float](repeating: 0, count: 16)])
    }
    func nats(_ piece: Int) -> Double { log(prediction.probability(of: piece)) }
    let first = run(pieces[0], [pieces[1], pieces[2]])
    // float32 logarithms of a few units.
    #expect(abs(first.loss - 3 * (nats(pieces[0]) - (nats(pieces[1]) + nats(pieces[2])) / 2)) < 1e-4)
    #expect(first.answers.map { $0?.isLikeliest } == [true])
    #expect(run(pieces[1], [pieces[0], pieces[2]]).answers.map { $0?.isLikeliest } == [false])
    // Too little of P together costs as many nats; what the whole vocabulary has is what counts.
    let sum = pieces.reduce(0) { $0 + prediction.probability(of: $1) }
    let together = min(0.9, 2 * sum)
    let goal = OutputGoal(
      prompt: prompt, wanted: .amid(pieces[0], others: [pieces[1], pieces[2]], together: together), weight: 3)
    let held = SlotObjective(
      TracedGoals(model.bert, [goal], from: 0), slots: [(layer: 0, index: 3)], pieces: Set(pieces)
    ).evaluate([[Float](repeating: 0, count: 16)])
    #expect(abs(held.loss - first.loss - 3 * log(together / sum)) < 1e-4)
    // One of three is the likeliest by chance.
    #expect(first.shareSaid == 1 && abs(first.shareByChance - 1 / 3) < 1e-12)
    #expect(run(pieces[1], [pieces[0]]).shareSaid == 0 && run(pieces[1], [pieces[0]]).shareByChance == 0.5)
  }

  @Test("the share of answers said is of those named, where none of the word pieces that matter is likelier")
  func shareSaid() throws {
    let model = try Fixture.open()
    let prompts = try Golden.all().prefix(3).map { try model.encode($0.text) }
    let best = model.bert.predict(prompts) { $1.best }
    let goals = [
      OutputGoal(prompt: prompts[0], wanted: .level(best[0], at: 0.1), weight: 1),
      OutputGoal(prompt: prompts[1], wanted: .level(best[1] == 7 ? 8 : 7, at: 0.1), weight: 1),
      OutputGoal(prompt: prompts[2], wanted: .answer(best[2], atLeast: 0.9), weight: 1),
      OutputGoal(prompt: prompts[0], wanted: .unchanged, weight: 1),
    ]
    func run(_ goals: [OutputGoal]) -> SlotGradients {
      SlotObjective(TracedGoals(model.bert, goals, from: 0), slots: [(layer: 0, index: 0)])
        .evaluate([[Float](repeating: 0, count: 16)])
    }
    let found = run(goals)
    #expect(found.answers.map { $0?.isLikeliest } == [true, false, true, nil])
    #expect(found.shareSaid == 2.0 / 3)
    #expect(run([goals[3]]).shareSaid == 0 && found.shareByChance == 0)
  }

  @Test("a run is the same again bit for bit, and threads change it by rounding only")
  func threads() throws {
    let model = try Fixture.open()
    let change = [[Float](repeating: 0.05, count: 16)]
    func run(_ threads: Int) throws -> SlotGradients {
      let traced = TracedGoals(model.bert, try goals(model), from: 0, threads: ThreadCount(threads))
      return SlotObjective(traced, slots: [(layer: 0, index: 3)]).evaluate(change)
    }
    let (one, two) = (try run(1), try run(2))
    #expect(try run(2).gradients == two.gradients)
    // Another order of the same float32 sums.
    for (a, b) in zip(one.gradients[0], two.gradients[0]) { #expect(abs(a - b) < 1e-4 * max(1, abs(a))) }
  }
}
