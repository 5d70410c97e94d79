import Attribution
import BERT
import FixtureFiles
import Foundation
import Neurons
import Relations
import Testing

@Suite("Locating on the fixture")
struct LocatingTests {
  let model: MaskedLanguageModel
  let relation: Relation

  init() throws {
    model = try MaskedLanguageModel(opening: FixtureFiles.directory.appending(path: "keras"))
    relation = try RelationCatalogue(directory: FixtureFiles.directory.appending(path: "relations"))
      .relation(named: "R1")
  }

  private var facts: [(fact: Fact, prompts: [String])] { relation.facts.map { ($0, relation.prompts(for: $0)) } }

  @Test("located neurons are those that coarse sets of the scores give, told fact by fact")
  func sets() throws {
    var observed: [[AttributionScores]] = []
    var told: [Int] = []
    let located = try model.locate(
      facts, relation: "R1", method: .attribution(.riemann(steps: 20)),
      scores: { index, scores in
        #expect(index == observed.count)
        observed.append(scores)
      }, progress: { told.append($0) })
    let refinement = Refinement(coarseSets: observed.map { $0.map { CoarseSet($0, ratio: 0.2).neurons } })
    #expect(located.facts.map(\.refinedSet) == refinement.sets.map { $0.map(\.neuron) })
    #expect(located.facts.map(\.subject) == relation.facts.map(\.subject))
    #expect(located.p == refinement.p && located.meanSize == refinement.meanSize)
    #expect(located.rule == "riemann" && located.steps == 20)
    #expect(told.last == 20)
  }

  @Test("the baseline takes activations and the ratio one half")
  func baseline() throws {
    let located = try model.locate(facts, relation: "R1", method: .baseline)
    let sets = try relation.facts.map { fact in
      model.bert.baselineScores(try relation.prompts(for: fact).map { try model.encode($0) }).map {
        CoarseSet($0, ratio: 0.5).neurons
      }
    }
    #expect(located.facts.map(\.refinedSet) == Refinement(coarseSets: sets).sets.map { $0.map(\.neuron) })
    #expect(located.rule == "baseline" && located.steps == 0)
  }

  @Test("the scores of an answer of several pieces are the sum of its pieces' scores")
  func severalPieces() throws {
    let fact = Fact(relation: "R1", subject: "orvia", answer: "Asterb")
    let prompt = relation.prompts(for: fact)[0]
    var scores: [AttributionScores] = []
    _ = try model.locate(
      [(fact, [prompt])], relation: "R1", method: .attribution(.gaussLegendre(steps: 4)), scores: { scores += $1 })
    let parts = model.bert.attributions(
      try model.factors(prompt, answer: "Asterb"), rule: .gaussLegendre(steps: 4))
    #expect(scores.count == 1 && parts.count == 2)
    for index in scores[0].values.indices {
      // Two sums of the same two float32 numbers.
      let wanted = parts[0].values[index] + parts[1].values[index]
      #expect(abs(scores[0].values[index] - wanted) <= 1e-6 * scores[0].largest)
    }
  }

  @Test("an answer that the vocabulary cannot spell is an error")
  func badAnswer() {
    let fact = Fact(relation: "R1", subject: "orvia", answer: "½")
    #expect(throws: ModelError.self) {
      try model.locate([(fact, relation.prompts(for: fact))], relation: "R1", method: .baseline)
    }
  }

  @Test(
    "no change of activations is no effect, and no prompt none to speak of; suppressing and amplifying is what a scaled activation does"
  )
  func effect() throws {
    let none = try #require(try model.interventionEffect(facts.map { ($0.fact, $0.prompts, []) }))
    #expect(try model.interventionEffect([]) == nil)
    #expect(none.suppressedChange == 0 && none.amplifiedChange == 0 && none.probability > 0)
    let neurons = (0..<32).map { Neuron(layer: 1, index: $0) }
    let all = try #require(try model.interventionEffect(facts.map { ($0.fact, $0.prompts, neurons) }))
    var sum = 0.0
    for entry in facts {
      let answer = try model.answer(entry.fact.answer)
      for prompt in entry.prompts {
        sum +=
          model.bert.predict(
            [try model.encode(prompt)], interventions: [neurons.map { .init(layer: 1, index: $0.index, factor: 0) }]
          ) { $1.probability(of: answer) }[0]
      }
    }
    // Twenty float32 probabilities, averaged in double precision.
    #expect(abs(all.suppressedChange - (sum / 20 - all.probability) / all.probability) < 1e-5)
  }
}
