import BERT
import Checkpoint
import Editing
import FixtureFiles
import Foundation
import Kernels
import Neurons
import Relations
import Testing

@testable import Evaluation

@Suite("Erasing a relation from request to record")
struct ErasureTests {
  @Test("empties the most frequent neurons' slots, and the record judges it again")
  func erases() throws {
    let fixture = try Fixture("safetensors")
    try FixtureFiles.withDirectory { directory in
      let output = directory.appending(path: "out")
      let request = try fixture.request(output, relation: "R2")
      let outcome = try RelationErasure(
        request: request, facts: request.relation.facts, method: .paper(top: 3, fill: .zero)
      )
      .carryOut()
      let record = outcome.record
      #expect(record.neurons.count == 3 && record.kind == .erase && record.factIndices == [0, 1, 2, 3, 4])
      let difference = try CheckpointDifference.between(fixture.model.checkpoint, Checkpoint.open(output))
      #expect(Set(difference.slots.map { Neuron(layer: $0.layer, index: $0.index) }) == Set(record.neurons))
      #expect(difference.slots.allSatisfy { $0.after.allSatisfy { $0 == 0 } })
      let again = try RecordEvaluation(
        EditRecord(contentsOf: output), source: fixture.model, result: MaskedLanguageModel(opening: output),
        catalogue: fixture.catalogue, threads: ThreadCount(2))
      #expect(again.erasure?.edit == outcome.evaluation)
      #expect(again.erasure?.control != nil && again.update == nil)
    }
  }
}

@Suite("Erasing by neurons of a file")
struct GivenErasureTests {
  @Test("judges the facts that were asked for, by whichever method")
  func judged() throws {
    let fixture = try Fixture()
    try FixtureFiles.withDirectory { directory in
      let relation = try fixture.catalogue.relation(named: "R2")
      let located = try fixture.model.locate(
        relation.facts.map { ($0, relation.prompts(for: $0)) }, relation: "R2", method: .attribution(.riemann(steps: 2))
      )
      let request = try fixture.request(directory.appending(path: "out"), relation: "R2", located: located)
      var optimization = SlotOptimization.erasure(layerCount: fixture.model.bert.configuration.layerCount)
      optimization.steps = 2
      var update = SlotOptimization.update
      update.steps = 2
      let methods = [ErasureMethod.paper(top: 3, fill: .zero), .optimized(optimization), .optimized(update)]
      for method in methods {
        let plan = try RelationErasure(request: request, facts: [relation.facts[1]], method: method).plan()
        #expect(plan.record.factIndices == [1])
        // The fixture's random model knows nothing, so that nothing can be forgotten.
        #expect(plan.evaluation.intraAccuracyBefore == 0 && plan.evaluation.successRate == nil)
        #expect(
          plan.record.after["successRate"] == nil && plan.shortfall(.erasure)?.contains("nothing to forget") == true)
      }
    }
  }
}

@Suite("Erasing some facts of a relation")
struct PartErasureTests {
  @Test("judges the relation's other facts apart, and the record makes the same again")
  func keepsOthers() throws {
    let fixture = try Fixture()
    try FixtureFiles.withDirectory { directory in
      let relation = try fixture.catalogue.relation(named: "R2")
      let request = try fixture.request(directory.appending(path: "out"), relation: "R2")
      var optimization = SlotOptimization.erasure(layerCount: fixture.model.bert.configuration.layerCount)
      (optimization.steps, optimization.otherRelations) = (4, 20)
      func plan(_ keepsOthers: Bool, _ method: ErasureMethod) throws -> RelationErasure.Plan {
        try RelationErasure(request: request, facts: [relation.facts[1]], keepsOthers: keepsOthers, method: method)
          .plan()
      }
      let whole = try plan(false, .optimized(optimization))
      #expect(whole.evaluation.answerCount == 1)
      #expect(whole.evaluation.otherFacts == nil && whole.record.method.keepsOthers == nil)
      #expect(!whole.evaluation.relations.contains { $0.relation == "R2" })
      for method in [ErasureMethod.paper(top: 3, fill: .zero), .optimized(optimization)] {
        let part = try plan(true, method)
        let others = try #require(part.evaluation.otherFacts)
        #expect(part.evaluation.answerCount == Set(relation.facts.map(\.answer)).count)
        #expect(others.relation == "R2" && part.evaluation.relations.contains(others))
        // What is said of other relations is without them: the same questions as where these were not to stay.
        let found = try #require(part.evaluation.interPerplexityBefore)
        let wanted = try #require(whole.evaluation.interPerplexityBefore)
        // Equal but for how prompts are batched.
        #expect(abs(found / wanted - 1) < 1e-5, "\(found) \(wanted)")
        #expect(part.evaluation.mostDisturbed?.relation != "R2")
        let again = try RecordEvaluation(part.record, source: fixture.model, result: nil, catalogue: fixture.catalogue)
        #expect(again.erasure?.edit == part.evaluation)
      }
    }
  }
}

@Suite("Erasing with wordings held back")
struct HeldBackErasureTests {
  @Test("the last templates are judged apart, and the record names them and makes the same again")
  func judged() throws {
    let fixture = try Fixture()
    try FixtureFiles.withDirectory { directory in
      let request = try fixture.request(directory.appending(path: "out"), relation: "R2")
      let relation = request.relation
      var optimization = SlotOptimization.erasure(layerCount: fixture.model.bert.configuration.layerCount)
      (optimization.steps, optimization.otherRelations) = (4, 20)
      for method in [ErasureMethod.paper(top: 3, fill: .zero), .optimized(optimization)] {
        let plan = try RelationErasure(request: request, facts: relation.facts, method: method, heldBack: 2).plan()
        #expect(plan.record.prompts == relation.templates.dropLast(2).map(\.pattern))
        #expect(plan.record.heldBack == relation.templates.suffix(2).map(\.pattern))
        func perplexity(_ templates: some Sequence<Template>) throws -> Double {
          try fixture.model.answerFigures(
            templates.flatMap { template in
              relation.facts.map { Question(prompt: template.prompt(subject: $0.subject), answer: $0.answer) }
            }
          ).perplexity
        }
        let found = plan.evaluation
        // The same sums of the same float32 numbers but for how prompts are batched.
        #expect(abs(found.intraPerplexityBefore / (try perplexity(relation.templates.dropLast(2))) - 1) < 1e-6)
        let unseen = try #require(found.heldBack)
        #expect(abs(unseen.perplexityBefore / (try perplexity(relation.templates.suffix(2))) - 1) < 1e-6)
        #expect(unseen.perplexityAfter != unseen.perplexityBefore)
        #expect(plan.record.after["heldBackPerplexity"] == unseen.perplexityAfter)
        let again = try RecordEvaluation(plan.record, source: fixture.model, result: nil, catalogue: fixture.catalogue)
        #expect(again.erasure?.edit == found)
      }
    }
  }

  @Test("one template is left to the erasure at least, and without any held back there are no such figures")
  func most() throws {
    let fixture = try Fixture()
    try FixtureFiles.withDirectory { directory in
      let request = try fixture.request(directory.appending(path: "out"), relation: "R2")
      func erasure(_ heldBack: Int) -> RelationErasure {
        RelationErasure(
          request: request, facts: request.relation.facts, method: .paper(top: 3, fill: .zero), heldBack: heldBack)
      }
      #expect(erasure(9).templates == [request.relation.templates[0]])
      let whole = try erasure(0).plan()
      #expect(whole.evaluation.heldBack == nil && whole.record.heldBack == nil)
    }
  }

  @Test("what is forgotten is counted of what was right")
  func forgotten() {
    func outcomes(_ right: [Bool]) -> [AnswerOutcome] {
      right.map { isBest in
        var outcome = AnswerOutcome()
        outcome.isBest = isBest
        return outcome
      }
    }
    #expect(outcomes([true, true, true, true, false]).forgotten(outcomes([false, true, false, false, true])) == 0.75)
    #expect(outcomes([false, false]).forgotten(outcomes([false, true])) == nil)
  }
}

@Suite("Figures")
struct FigureTests {
  @Test("an erased relation's answers are ranked among each other, by the median over its prompts")
  func rank() throws {
    let model = try Fixture().model
    let moved = model.replacing([ValueSlot(layer: 1, index: 3, values: (0..<16).map { Float($0) - 8 })])
    let prompt = "the capital of orvia is [MASK] ."
    let answers = ["Aster", "Corin", model.piece(7), model.piece(8)]
    let result = try ErasureEvaluation(
      before: model, after: moved,
      questions: EvaluationQuestions(
        intra: answers.dropLast().map { Question(prompt: prompt, answer: $0) }
          + [Question(prompt: "orvia [MASK]", answer: answers[3])], inter: []),
      change: ChangeSize(of: [], from: model, to: moved))
    let pieces = try answers.map { try model.answer($0) }
    func median(_ model: MaskedLanguageModel) throws -> Double {
      let prompts = try [prompt, prompt, prompt, "orvia [MASK]"].map { try model.encode($0) }
      let ranks = model.bert.predict(prompts) { index, prediction in
        1 + pieces.count { prediction.probability(of: $0) > prediction.probability(of: pieces[index]) }
      }.sorted()
      return Double(ranks[1] + ranks[2]) / 2
    }
    #expect(result.answerCount == 4)
    #expect(try result.intraRankBefore == median(model) && result.intraRankAfter == median(moved))
  }

  @Test("perplexity is exp of the mean of −ln P, accuracy the share of right arg-maxes")
  func perplexity() throws {
    let model = try Fixture().model
    let prompt = "the capital of orvia is [MASK] ."
    let logs = model.bert.predict([try model.encode(prompt)]) { $1.logProbabilities }[0]
    let best = try #require(logs.indices.max { logs[$0] < logs[$1] })
    let other = try model.answer("Aster") == best ? "Corin" : "Aster"
    let figures = try model.answerFigures([
      Question(prompt: prompt, answer: model.piece(best)), Question(prompt: prompt, answer: other),
    ])
    let wanted = exp(-Double(logs[best] + logs[try model.answer(other)]) / 2)
    // Both sums are of the same two float32 numbers.
    #expect(abs(figures.perplexity - wanted) < 1e-5 * wanted)
    #expect(figures.accuracy == 0.5)
    #expect(figures.best == [[best], [best]])
  }

  @Test("random neurons are distinct, within the model and the same for the same seed")
  func random() throws {
    let configuration = try Fixture().model.bert.configuration
    var (first, second) = (SeededGenerator(seed: 3), SeededGenerator(seed: 3))
    let neurons = randomNeurons(40, in: configuration, using: &first)
    #expect(neurons == randomNeurons(40, in: configuration, using: &second))
    #expect(Set(neurons).count == 40)
    #expect(neurons.allSatisfy { (0..<2).contains($0.layer) && (0..<32).contains($0.index) })
    #expect(randomNeurons(1000, in: configuration, using: &first).count == 64)
    #expect(
      randomNeurons(40, in: configuration, layers: [1], using: &first).map(\.layer) == Array(repeating: 1, count: 32))
    var third = SeededGenerator(seed: 4)
    #expect(neurons != randomNeurons(40, in: configuration, using: &third))
  }

  @Test("a control is drawn from the layers that were edited, of neurons that were given from theirs, or else from all")
  func controlLayers() throws {
    let fixture = try Fixture()
    try FixtureFiles.withDirectory { directory in
      var record = try fixture.update(directory.appending(path: "out")).plan().record
      #expect(record.controlLayers(2) == [0, 1])
      var optimization = SlotOptimization.update
      (optimization.layers, optimization.subjectLayers) = (1, .absent)
      record.method = .init(name: .optimized, optimization: optimization)
      record.neurons = [Neuron(layer: 1, index: 3)]
      #expect(record.controlLayers(2) == [1])
      record.neurons = [Neuron(layer: 0, index: 3)]
      #expect(record.controlLayers(2) == [0])
    }
  }

  @Test("portability is the share of the inverse relation's prompts on which the subject comes first")
  func portability() throws {
    let model = try Fixture().model
    let prompts = ["the capital of orvia is [MASK] .", "[MASK] is the capital of tamel .", "a crow is a [MASK] bird ."]
    let said = model.bert.predict(try prompts.map { try model.encode($0) }) { model.piece($1.best) }
    let wrong = said[0] == "Aster" ? "Corin" : "Aster"
    let effects = try SideEffects(
      before: model, after: model,
      EvaluationQuestions(
        intra: [], inter: [],
        inverse: zip(prompts, [said[0], said[1], wrong]).map { Question(prompt: $0, answer: $1) }
          + [Question(prompt: prompts[0], answer: wrong)]), order: .leftToRight, threads: ThreadCount(1))
    #expect(effects.portability == (said[2] == wrong ? 0.75 : 0.5) && effects.sameRelation == nil)
  }

  @Test("the piece nearest to an embedding is its own, with cosine 1; a zero direction has none")
  func nearest() throws {
    let model = try Fixture().model
    let id = try model.answer("Elmer")
    let direction = model.bert.weights.wordEmbeddings.row(id)
    let found = model.nearestPieces(to: [direction, direction.map { -3 * $0 }, direction.map { _ in 0 }], count: 2)
    #expect(found[0].towards[0].token == "Elmer" && abs(found[0].towards[0].cosine - 1) < 1e-6)
    #expect(found[0].towards.count == 2 && found[1].towards.allSatisfy { $0.token != "Elmer" })
    #expect(found[1].awayFrom.map(\.token) == found[0].towards.map(\.token))
    #expect(found[1].towards.map(\.token) == found[0].awayFrom.map(\.token))
    #expect(found[2].towards.isEmpty && found[2].awayFrom.isEmpty)
  }

  @Test("questions on others leave the fact's subject out, and are the same for the same seed")
  func questions() throws {
    let fixture = try Fixture()
    let fact = try fixture.catalogue.relation(named: "R1").facts[0]
    func draw(_ seed: UInt64) throws -> EvaluationQuestions {
      try EvaluationQuestions(
        updating: FactEdit(fact: fact, newAnswer: "Corin", prompts: []), in: fixture.catalogue, model: fixture.model,
        seed: seed)
    }
    let questions = try draw(1)
    #expect(questions.intra.count == 16 && questions.inter.count == 20)
    #expect(questions.intra.allSatisfy { !$0.prompt.contains("orvia") })
    #expect(questions.intra.map(\.prompt) == (try draw(1)).intra.map(\.prompt))
    #expect(questions.inter.map(\.prompt) != (try draw(2)).inter.map(\.prompt))
  }
}
