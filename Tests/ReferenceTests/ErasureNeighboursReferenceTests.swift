import BERT
import Editing
import FixtureFiles
import Kernels
import Relations
import Testing

@testable import Evaluation

@Suite("Neighbours of erasures of kn-mini", .enabled(if: SharedReference.isEnabled))
struct ErasureNeighboursReferenceTests {
  @Test("what the model believes of erased capitals is kept in the relations that ask about such, and in no other")
  func beliefs() throws {
    let model = try MaskedLanguageModel(opening: SharedReference.model)
    let catalogue = try RelationCatalogue(directory: SharedReference.relations)
    let relation = try catalogue.relation(named: "P36")
    let questions = try EvaluationQuestions(
      erasing: relation, facts: relation.facts, in: catalogue, model: model, seed: 0)
    let erasure = try ErasureMethod.optimized(
      .erasure(layerCount: model.bert.configuration.layerCount), relation, relation.facts, keepsOthers: false,
      in: model,
      catalogue: catalogue, questions: questions, heldBack: [], order: .leftToRight, seed: 0, threads: .allCores)
    // Capital of and continent; place of birth and manufacturer ask about people and products.
    for (name, isAsked) in [("P1376", true), ("P30", true), ("P19", false), ("P176", false)] {
      let listed = try catalogue.relation(named: name).facts.count
      let facts = try #require(erasure.others.first { $0.name == name }).facts.count
      #expect((facts > listed) == isAsked, "\(name) has \(listed) facts, and \(facts) were taken")
    }
  }
}
