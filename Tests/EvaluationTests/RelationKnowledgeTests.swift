import BERT
import Checkpoint
import Evaluation
import FixtureFiles
import Foundation
import Kernels
import Relations
import Testing

@Suite("How well a model knows a relation")
struct RelationKnowledgeTests {
  @Test("is what its predictions say, prompt by prompt")
  func figures() throws {
    let fixture = try Fixture()
    let relation = try fixture.catalogue.relation(named: "R2")
    let knowledge = try RelationKnowledge(
      of: relation, facts: relation.facts, in: fixture.model, threads: ThreadCount(2))
    let answers = Set(try relation.facts.map { try fixture.model.answer($0.answer) }).sorted()
    var (logs, right, ranks, together) = (0.0, 0, [Int](), 0.0)
    var said: [String: Int] = [:]
    for fact in relation.facts {
      for prompt in relation.prompts(for: fact) {
        let wanted = try fixture.model.answer(fact.answer)
        let encoded = [try fixture.model.encode(prompt)]
        let (own, best, all) = fixture.model.bert.predict(encoded, threads: ThreadCount(1)) { _, prediction in
          (prediction.probability(of: wanted), prediction.best, answers.map { prediction.probability(of: $0) })
        }[0]
        logs += log(own)
        right += best == wanted ? 1 : 0
        ranks.append(1 + all.count { $0 > own })
        together += all.reduce(0, +)
        said[fixture.model.piece(best), default: 0] += 1
      }
    }
    let count = ranks.count
    ranks.sort()
    let figures = knowledge.before
    #expect(knowledge.relation == "R2" && knowledge.facts == 5 && knowledge.prompts == count)
    #expect(knowledge.answerCount == answers.count)
    // Packed and single passes differ by float rounding.
    #expect(abs(figures.perplexity / exp(-logs / Double(count)) - 1) < 1e-4)
    #expect(figures.accuracy == Double(right) / Double(count))
    #expect(abs(figures.together - together / Double(count)) < 1e-5)
    #expect(figures.rank == Double(ranks[(count - 1) / 2] + ranks[count / 2]) / 2)
    #expect(figures.said.allSatisfy { $0.share == Double(said[$0.answer] ?? 0) / Double(count) })
    #expect(figures.said.first?.share == Double(said.values.max() ?? 0) / Double(count))
    #expect(knowledge.after == nil && knowledge.rise == nil && knowledge.lost == nil)
  }

  @Test("is not asked of what an erasure of another relation is to forget, unless that is all there is")
  func forgotten() throws {
    let fixture = try Fixture()
    try FixtureFiles.withDirectory { directory in
      let relation = try fixture.catalogue.relation(named: "R2")
      let request = try fixture.request(directory.appending(path: "out"), relation: "R2")
      let record = try RelationErasure(
        request: request, facts: [relation.facts[1]], method: .paper(top: 2, fill: .zero)
      ).plan().record
      func knowledge(_ facts: [Fact]) throws -> RelationKnowledge {
        try RelationKnowledge(
          of: relation, facts: facts, in: fixture.model, leavingOut: record.forgottenPrompts(in: fixture.model),
          threads: ThreadCount(2))
      }
      let (all, others) = try (knowledge(relation.facts), knowledge(relation.facts.filter { $0 != relation.facts[1] }))
      #expect(all.leftOut == relation.templates.count && all.before == others.before && all.prompts == others.prompts)
      #expect(others.leftOut == 0)
      let own = try knowledge([relation.facts[1]])
      #expect(own.leftOut == 0 && own.prompts == relation.templates.count)
    }
  }

  @Test("beside an edited model says what rose, and beside itself that nothing did")
  func comparison() throws {
    let fixture = try Fixture()
    let relation = try fixture.catalogue.relation(named: "R2")
    let same = try RelationKnowledge(
      of: relation, facts: relation.facts, in: fixture.model, edited: fixture.model, threads: ThreadCount(2))
    #expect(same.rise == 0 && same.after == same.before)
    // The fixture's random model is right about nothing by itself.
    #expect(same.beforeOfRight == nil && same.riseOfRight == nil && same.lost == nil)
    let known = try taught(relation, in: fixture.model)
    let lost = try RelationKnowledge(
      of: known, facts: known.facts, in: fixture.model, edited: emptied(fixture.model), threads: ThreadCount(2))
    let after = try #require(lost.after)
    let alone = try RelationKnowledge(
      of: known, facts: known.facts, in: emptied(fixture.model), threads: ThreadCount(2))
    #expect(lost.before.accuracy == 1 && lost.beforeOfRight == lost.before.perplexity)
    #expect(after == alone.before && abs((lost.lost ?? 2) - (1 - after.accuracy)) < 1e-12)
    #expect(lost.rise == after.perplexity / lost.before.perplexity - 1 && lost.riseOfRight == lost.rise)
  }

  /// The relation's first template with facts that the model says.
  private func taught(_ relation: Relation, in model: MaskedLanguageModel) throws -> Relation {
    let template = relation.templates[0]
    let facts = try relation.facts.map { fact in
      let prompt = try model.encode(template.prompt(subject: fact.subject))
      let best = model.bert.predict([prompt], threads: ThreadCount(1)) { $1.best }[0]
      return Fact(relation: relation.name, subject: fact.subject, answer: model.piece(best))
    }
    return Relation(name: relation.name, label: relation.label, templates: [template], facts: facts)
  }

  /// The model without the value slots of its last layer.
  private func emptied(_ model: MaskedLanguageModel) -> MaskedLanguageModel {
    let configuration = model.bert.configuration
    return model.replacing(
      (0..<configuration.intermediateSize).map {
        ValueSlot(
          layer: configuration.layerCount - 1, index: $0, values: [Float](repeating: 0, count: configuration.hiddenSize)
        )
      })
  }
}
