import BERT
import Checkpoint
import Editing
import Evaluation
import FixtureFiles
import Foundation
import Neurons
import Testing

@Suite("Updating by optimised value slots")
struct OptimizedUpdateTests {
  private var parameters: OptimizedUpdate.Parameters {
    var parameters = OptimizedUpdate.Parameters()
    parameters.sameRelation = 3
    parameters.otherRelations = 3
    parameters.neighbourWeight = 0.01
    parameters.rate = 0.1
    parameters.steps = 300
    // The fixture's random weights let a few slots move the answer only so far.
    parameters.confidence = 0.2
    return parameters
  }

  @Test("moves the chosen slots, and no others, until the new answer is as likely as asked on every prompt")
  func holds() throws {
    let model = try Fixture().model
    let prompts = try ["the capital of orvia is [MASK] .", "the seat of orvia is in [MASK] ."].map {
      try model.encode($0)
    }
    let other = [try model.encode("a crow is a [MASK] bird .")]
    let new = try model.answer("Corin")
    let method = OptimizedUpdate(new: new, prompts: prompts, neighbours: other, parameters: parameters)
    let neurons = (0..<32).map { Neuron(layer: 1, index: $0) }
    let slots = method.valueSlots(of: neurons, in: model)
    #expect(slots.map { Neuron(layer: $0.layer, index: $0.index) } == neurons)
    let edited = model.replacing(slots)
    let probabilities = edited.bert.predict(prompts) { $1.probability(of: new) }
    #expect(probabilities.allSatisfy { $0 >= method.parameters.confidence - 1e-4 })
    #expect(method.valueSlots(of: neurons, in: model) == slots, "the same again, bit for bit")
  }

  @Test("leaves a record from which the edit is made again")
  func record() throws {
    let fixture = try Fixture()
    try FixtureFiles.withDirectory { directory in
      let request = try fixture.request(directory.appending(path: "out"))
      let update = FactUpdate(
        request: request, fact: request.relation.facts[0], newAnswer: "Corin", ownPrompts: [],
        method: .optimized(parameters))
      let outcome = try update.carryOut()
      let record = try EditRecord(contentsOf: directory.appending(path: "out"))
      #expect(record.method == .init(name: "optimized", optimization: parameters))
      let again = try RecordEvaluation(record, source: fixture.model, result: nil, catalogue: fixture.catalogue)
      #expect(again.update?.paraphraseSuccessRate == outcome.evaluation.paraphraseSuccessRate)
      #expect(
        abs((again.update?.edited.newProbabilityAfter ?? 0) - outcome.evaluation.edited.newProbabilityAfter) < 1e-6)
    }
  }
}
