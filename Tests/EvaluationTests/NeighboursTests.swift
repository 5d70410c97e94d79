import BERT
import Editing
import FixtureFiles
import Foundation
import Kernels
import Neurons
import Relations
import Testing

@testable import Evaluation

@Suite("Neighbours and judged prompts")
struct NeighboursTests {
  /// The fixture's model with relations in which most subjects have two answers, R1 is its own inverse in part, a subject is
  /// in two relations, one fills all positions, and two relations share a wording, which they write with and without a space.
  private func withRelations(_ body: (Fixture) throws -> Void) throws {
    let facts = [
      "R1": [
        ["orvia", "Aster"], ["orvia", "Corin"], ["tamel", "Bremel"], ["tamel", "Dovar"], ["quend", "Corin"],
        ["quend", "Elmer"], ["lisk", "Dovar"], ["lisk", "Aster"], ["borda", "Elmer"], ["borda", "Bremel"],
        ["Aster", "orvia"], ["Corin", "quend"], ["Dovar", "lisk"], ["Elmer", "borda"], ["Bremel", "tamel"],
      ],
      "R2": [["wren", "brown"], ["crow", "black"], ["swan", "white"], ["robin", "red"], ["orvia", "green"]],
      "R3": [[String(repeating: "wren ", count: 900) + "wren", "brown"], ["crow", "white"], ["finch", "green"]],
      "R4": [["finch", "red"]],
    ]
    let patterns = [
      "R1": ["the capital of [X] is [Y] .", "[Y] is the capital of [X] .", "the seat of [X] is in [Y] ."],
      "R2": ["a [X] is a [Y] bird .", "the [X] wears a [Y] coat ."],
      "R3": ["the [X] wears a [Y] coat.", "[Y] feathers are from the [X] ."], "R4": ["capital of [X] is [Y]."],
    ]
    try FixtureFiles.withDirectory { directory in
      try FileManager.default.createDirectory(
        at: directory.appending(path: "patterns"), withIntermediateDirectories: true)
      try JSONEncoder().encode(facts).write(to: directory.appending(path: "facts.json"))
      for (name, own) in patterns {
        let lines = try own.map { String(decoding: try JSONEncoder().encode(["pattern": $0]), as: UTF8.self) }
        try Data(lines.joined(separator: "\n").utf8).write(to: directory.appending(path: "patterns/\(name).jsonl"))
      }
      try body(try Fixture(relations: directory))
    }
  }

  private func asked(_ questions: EvaluationQuestions, _ model: MaskedLanguageModel) -> Set<[Int]> {
    let all = questions.intra + questions.heldBack + questions.inter + questions.sameSubject + questions.inverse
    return encoded(Set(all.map(\.prompt)), model)
  }

  private func encoded(_ prompts: Set<String>, _ model: MaskedLanguageModel) -> Set<[Int]> {
    Set(prompts.compactMap { try? model.encode($0).ids })
  }

  @Test("nothing that an update is judged on is a neighbour of it, whatever the answer", arguments: 0..<12)
  func update(seed: UInt64) throws {
    try withRelations { fixture in
      let fact = try fixture.catalogue.relation(named: "R1").facts[0]
      let held = try Template("the seat of [X] is in [Y] .")
      let edit = FactEdit(fact: fact, newAnswer: "Bremel", prompts: ["the capital of orvia is [MASK] ."])
      let questions = try EvaluationQuestions(
        updating: edit, heldBack: [held], in: fixture.catalogue, model: fixture.model, seed: seed)
      #expect(questions.intra.count == 15 && !questions.inter.isEmpty && !questions.inverse.isEmpty)
      let asked = asked(questions, fixture.model)
      #expect(questions.inter.allSatisfy { !$0.prompt.contains("orvia") })
      let update = try UpdateMethod.optimized(
        .update, [edit], in: fixture.model, catalogue: fixture.catalogue, questions: questions, heldBack: [held],
        order: .leftToRight, seed: seed, threads: ThreadCount(1))
      #expect(!update.neighbours.isEmpty && !update.sameSubject.isEmpty)
      #expect((update.neighbours + update.sameSubject).allSatisfy { !asked.contains($0.ids) })
    }
  }

  @Test("nothing that an erasure is judged on is a neighbour of it, whatever the answer", arguments: 0..<12)
  func erasure(seed: UInt64) throws {
    try withRelations { fixture in
      let relation = try fixture.catalogue.relation(named: "R2")
      let facts = Array(relation.facts.prefix(2))
      let questions = try EvaluationQuestions(
        erasing: relation, facts: facts, in: fixture.catalogue, model: fixture.model, seed: seed)
      let erasure = try ErasureMethod.optimized(
        .erasure(layerCount: 2), relation, facts, keepsOthers: false, in: fixture.model, catalogue: fixture.catalogue,
        questions: questions, heldBack: [], order: .leftToRight, seed: seed, threads: ThreadCount(1))
      let asked = asked(questions, fixture.model)
      #expect(erasure.others.contains { $0.name == "R1" })
      #expect(erasure.others.allSatisfy { $0.facts.joined().allSatisfy { !asked.contains($0.prompt.ids) } })
    }
  }

  @Test(
    "the model believes what it says surely of names that a relation has no facts about, and is not asked of others")
  func beliefs() throws {
    try withRelations { fixture in
      let relation = try fixture.catalogue.relation(named: "R2")
      let judged = try fixture.model.encode("a lisk is a [MASK] bird .")
      let neighbours = Neighbours(
        catalogue: fixture.catalogue, excluded: [Topic(relation: "R2", subject: "borda")], subjects: ["quend"],
        heldBack: [], taken: fixture.model.wordings(["a lisk is a [MASK] bird ."]), model: fixture.model)
      func beliefs(_ names: [String], atLeast least: Double) -> [[AttributionTarget]] {
        var generator = SeededGenerator(seed: 3)
        return neighbours.beliefs(
          about: names, in: relation, threads: ThreadCount(1), atLeast: least, using: &generator)
      }
      // A fact, an edited subject and a topic that is judged.
      #expect(beliefs(["orvia", "quend", "borda"], atLeast: 0).isEmpty)
      let found = beliefs(["tamel", "lisk"], atLeast: 0)
      #expect(found.map(\.count) == [2, 1] && !found.joined().contains { $0.prompt.ids == judged.ids })
      for own in found {
        let said = fixture.model.bert.predict(own.map(\.prompt)) { ($1.best, $1.probability(of: $1.best)) }
        #expect(Set(own.map(\.answer)).count == 1 && said.map(\.0).contains(own[0].answer))
        let largest = said.map(\.1).max() ?? 0
        let name = own.count == 2 ? "tamel" : "lisk"
        #expect(beliefs([name], atLeast: largest).count == 1 && beliefs([name], atLeast: largest.nextUp).isEmpty)
      }
    }
  }

  @Test("only relations that ask about things of the erased kind are asked what the model believes")
  func kinds() throws {
    try withRelations { fixture in
      let relation = try fixture.catalogue.relation(named: "R1")
      // R2 has a fact about orvia, R3 and R4 have none about any of R1's names.
      #expect(try fixture.catalogue.relation(named: "R2").asksAbout(Set(relation.facts.map(\.subject))))
      for name in ["R3", "R4"] {
        let other = try fixture.catalogue.relation(named: name)
        #expect(!other.asksAbout(Set(relation.facts.map(\.subject))) && !other.asksAbout(["Elmer", "Bremel"]))
      }
      #expect(try fixture.catalogue.relation(named: "R4").asksAbout(["finch", "wren"]))
    }
  }

  @Test(
    "an erasure is not judged to keep a prompt that it shall forget, though another relation asks it", arguments: 0..<3)
  func forgotten(seed: UInt64) throws {
    try withRelations { fixture in
      let relation = try fixture.catalogue.relation(named: "R2")
      let questions = try EvaluationQuestions(
        erasing: relation, facts: relation.facts, in: fixture.catalogue, model: fixture.model, seed: seed)
      let own = encoded(Set(questions.intra.map(\.prompt)), fixture.model)
      let others = try #require(questions.interRelations.first { $0.name == "R3" })
      // Of crow the feathers, of finch both.
      #expect(others.range.count == 3)
      #expect(encoded(Set(questions.inter.map(\.prompt)), fixture.model).isDisjoint(with: own))
    }
  }

  @Test("an erasure sees no wording that is held back, of its relation or of another one that shares it")
  func heldBackWording() throws {
    try withRelations { fixture in
      let relation = try fixture.catalogue.relation(named: "R2")
      let shared = try Template("the [X] wears a [Y] coat .")
      func seen(_ heldBack: [Template]) throws -> (own: [[Int]], others: [[Int]], EvaluationQuestions) {
        let questions = try EvaluationQuestions(
          erasing: relation, facts: relation.facts, heldBack: heldBack, in: fixture.catalogue, model: fixture.model,
          seed: 1)
        let erasure = try ErasureMethod.optimized(
          .erasure(layerCount: 2), relation, relation.facts, keepsOthers: false, in: fixture.model,
          catalogue: fixture.catalogue, questions: questions, heldBack: heldBack, order: .leftToRight, seed: 1,
          threads: ThreadCount(1))
        return (
          erasure.targets.map(\.prompt.ids), erasure.others.flatMap { $0.facts.joined().map(\.prompt.ids) }, questions
        )
      }
      let coats = encoded(
        Set(["wren", "crow", "swan", "robin", "orvia", "finch"].map { shared.prompt(subject: $0) }), fixture.model)
      let all = try seen([])
      #expect(all.own.contains(where: coats.contains) && all.2.heldBack.isEmpty)
      let fewer = try seen([shared])
      #expect(!fewer.own.isEmpty && fewer.2.heldBack.count == relation.facts.count)
      #expect(!(fewer.own + fewer.others).contains(where: coats.contains))
      #expect(encoded(Set(fewer.2.heldBack.map(\.prompt)), fixture.model).isSubset(of: coats))
    }
  }

  @Test(
    "an erasure also asks its facts' prompts less a word, but none that a relation has or that are held back less a word"
  )
  func shortenedErasure() throws {
    try withRelations { fixture in
      let relation = try fixture.catalogue.relation(named: "R2")
      let fact = relation.facts[0]
      let questions = try EvaluationQuestions(
        erasing: relation, facts: [fact], heldBack: [relation.templates[1]], in: fixture.catalogue,
        model: fixture.model,
        seed: 1)
      func asked(_ count: Int) throws -> [String] {
        var parameters = SlotOptimization.erasure(layerCount: 2)
        parameters.shortened = count
        let erasure = try ErasureMethod.optimized(
          parameters, relation, [fact], keepsOthers: false, in: fixture.model, catalogue: fixture.catalogue,
          questions: questions, heldBack: [relation.templates[1]], order: .leftToRight, seed: 1, threads: ThreadCount(1)
        )
        #expect(erasure.targets.allSatisfy { $0.answer == fixture.model.tokenizer.vocabulary.id(of: "brown") })
        return erasure.targets.map { $0.prompt.ids.map(fixture.model.piece).joined(separator: " ") }.sorted()
      }
      func text(_ prompts: [String]) throws -> [String] {
        try prompts.map { try fixture.model.encode($0).ids.map(fixture.model.piece).joined(separator: " ") }.sorted()
      }
      let own = "a wren is a [MASK] bird ."
      let shorter = [
        "wren is a [MASK] bird .", "a wren a [MASK] bird .", "a wren is [MASK] bird .", "a wren is a [MASK] .",
      ]
      #expect(try asked(0) == text([own]))
      #expect(try asked(8) == text([own] + shorter))
      #expect(try asked(2).count == 3)
    }
  }

  @Test("an erasure of one subject has the relation's other facts as neighbours, but for those that it is judged on")
  func partErasure() throws {
    try withRelations { fixture in
      let relation = try fixture.catalogue.relation(named: "R1")
      let facts = relation.facts(ofSubject: "orvia")
      func others(keepsOthers: Bool) throws -> (own: [AttributionTarget], asked: Set<[Int]>) {
        let questions = try EvaluationQuestions(
          erasing: relation, facts: facts, keepsOthers: keepsOthers, in: fixture.catalogue, model: fixture.model,
          seed: 3)
        let erasure = try ErasureMethod.optimized(
          .erasure(layerCount: 2), relation, facts, keepsOthers: keepsOthers, in: fixture.model,
          catalogue: fixture.catalogue, questions: questions, heldBack: [], order: .leftToRight, seed: 3,
          threads: ThreadCount(1))
        return (erasure.others.first { $0.name == "R1" }?.facts.flatMap { $0 } ?? [], asked(questions, fixture.model))
      }
      #expect(try others(keepsOthers: false).own.isEmpty)
      let kept = try others(keepsOthers: true)
      #expect(!kept.own.isEmpty && kept.own.allSatisfy { !kept.asked.contains($0.prompt.ids) })
      let orvia = fixture.model.subject("orvia")[0]
      #expect(kept.own.allSatisfy { !$0.prompt.ids.contains(orvia) })
    }
  }

  @Test(
    "an update also asks its prompts less a word, but none that a relation has, that is its own or that it is judged on"
  )
  func shortened() throws {
    try withRelations { fixture in
      let fact = try fixture.catalogue.relation(named: "R1").facts[0]
      let held = try Template("the seat of [X] is in [Y] .")
      let own = ["the capital of orvia is [MASK] .", "the capital orvia is [MASK] ."]
      let edit = FactEdit(fact: fact, newAnswer: "Bremel", prompts: own)
      let questions = try EvaluationQuestions(
        updating: edit, heldBack: [held], in: fixture.catalogue, model: fixture.model, seed: 1)
      func asked(_ count: Int) throws -> [[Int]] {
        var parameters = SlotOptimization.update
        parameters.shortened = count
        let update = try UpdateMethod.optimized(
          parameters, [edit], in: fixture.model, catalogue: fixture.catalogue, questions: questions, heldBack: [held],
          order: .leftToRight, seed: 1, threads: ThreadCount(1))
        let targets = try #require(update.targets.first)
        #expect(targets.allSatisfy { $0.answer == fixture.model.tokenizer.vocabulary.id(of: "Bremel") })
        return targets.map(\.prompt.ids)
      }
      func ids(_ prompts: [String]) throws -> [[Int]] { try prompts.map { try fixture.model.encode($0).ids } }
      #expect(try asked(0) == ids(own))
      // "capital of orvia …" is another relation's, "the capital orvia …" the user's own.
      let possible = try ids([
        "the of orvia is [MASK] .", "the capital of orvia [MASK] .", "[MASK] the capital of orvia .",
        "[MASK] is capital of orvia .", "[MASK] is the of orvia .", "[MASK] is the capital orvia .",
      ])
      let all = try asked(100)
      #expect(Array(all.prefix(2)) == (try ids(own)) && Set(all.dropFirst(2)) == Set(possible) && all.count == 8)
      let three = try asked(3)
      #expect(three.count == 5 && Set(three).count == 5 && three.dropFirst(2).allSatisfy(possible.contains))
    }
  }

  @Test("what earlier edits taught stays: on their prompts, about the same subject with the others about it")
  func earlier() throws {
    try withRelations { fixture in
      let facts = try fixture.catalogue.relation(named: "R1").facts
      let other = try fixture.catalogue.relation(named: "R2").facts[4]
      let edits = [
        FactEdit(fact: facts[2], newAnswer: "Aster", prompts: ["the capital of tamel is [MASK] ."]),
        FactEdit(fact: other, newAnswer: "red", prompts: ["a orvia is a [MASK] bird ."]),
        FactEdit(fact: facts[0], newAnswer: "Bremel", prompts: ["the capital of orvia is [MASK] ."]),
      ]
      let questions = try EvaluationQuestions(
        updating: edits, heldBack: [], in: fixture.catalogue, model: fixture.model, seed: 0)
      let update = try UpdateMethod.optimized(
        .update, [edits[2]], after: Array(edits[..<2]), in: fixture.model, catalogue: fixture.catalogue,
        questions: questions, heldBack: [], order: .leftToRight, seed: 0, threads: ThreadCount(1))
      func ids(_ edit: FactEdit) throws -> [Int] { try fixture.model.encode(edit.prompts[0]).ids }
      #expect(try update.neighbours.contains { try $0.ids == ids(edits[0]) })
      #expect(try update.sameSubject.contains { try $0.ids == ids(edits[1]) })
      #expect(try update.sameSubject.allSatisfy { try $0.ids != ids(edits[0]) })
    }
  }

  private func batch(
    _ fixture: Fixture, _ changes: [(String, Int, String)], heldBack: Int = 1
  ) throws -> BatchUpdate {
    let request = try fixture.request(FileManager.default.temporaryDirectory.appending(path: UUID().uuidString))
    return try BatchUpdate(
      request: request,
      changes: changes.map { (fact: try fixture.catalogue.relation(named: $0).facts[$1], newAnswer: $2) },
      optimization: .update, heldBack: heldBack, isSequential: false)
  }

  @Test("a held-back wording that another edited relation has too is held back there as well")
  func sharedWording() throws {
    try withRelations { fixture in
      let batch = try batch(fixture, [("R2", 1, "white"), ("R3", 1, "black")])
      #expect(batch.edits.map(\.prompts) == [["a crow is a [MASK] bird ."], ["[MASK] feathers are from the crow ."]])
      #expect(batch.heldBackPrompts == [["the crow wears a [MASK] coat ."], ["the crow wears a [MASK] coat."]])
    }
  }

  @Test(
    "an update's own prompts are no neighbours and no questions, though another relation has the wording",
    arguments: 0..<12)
  func ownWording(seed: UInt64) throws {
    try withRelations { fixture in
      let prompts = ["a crow is a [MASK] bird .", "the crow wears a [MASK] coat ."]
      let edit = FactEdit(
        fact: try fixture.catalogue.relation(named: "R2").facts[1], newAnswer: "white", prompts: prompts)
      let questions = try EvaluationQuestions(updating: edit, in: fixture.catalogue, model: fixture.model, seed: seed)
      let own = encoded(Set(prompts), fixture.model)
      #expect(encoded(Set(questions.sameSubject.map(\.prompt)), fixture.model).isDisjoint(with: own))
      let update = try UpdateMethod.optimized(
        .update, [edit], in: fixture.model, catalogue: fixture.catalogue, questions: questions, heldBack: [],
        order: .leftToRight, seed: seed, threads: ThreadCount(1))
      #expect(!update.sameSubject.isEmpty)
      #expect((update.neighbours + update.sameSubject).allSatisfy { !own.contains($0.ids) })
    }
  }

  @Test("two new answers to a prompt that two relations share are refused, the same one is not")
  func contradictoryRelations() throws {
    try withRelations { fixture in
      #expect(throws: EditError.contradictory(prompt: "the crow wears a [MASK] coat.")) {
        try batch(fixture, [("R2", 1, "white"), ("R3", 1, "black")], heldBack: 0)
      }
      let same = try batch(fixture, [("R2", 1, "red"), ("R3", 1, "red")], heldBack: 0)
      #expect(same.edits.count == 2)
    }
  }

  @Test("no edit is judged as held back on what another one of the batch asks")
  func unasked() throws {
    let model = try Fixture().model
    let edits = ["R1", "R2"].map {
      FactEdit(
        fact: Fact(relation: $0, subject: "crow", answer: "black"), newAnswer: "red",
        prompts: ["the crow of \($0) is [MASK] ."])
    }
    #expect(
      model.unasked([["the crow of R2 is [MASK].", "a crow is a [MASK] bird ."], []], by: edits)
        == [["a crow is a [MASK] bird ."], []])
  }

  @Test("two new answers to the same prompts are refused, though the old ones differ")
  func contradiction() throws {
    try withRelations { fixture in
      #expect(throws: EditError.givenTwice(subject: "orvia", relation: "R1")) {
        try batch(fixture, [("R1", 0, "Dovar"), ("R1", 1, "Elmer")])
      }
    }
  }

  @Test("one's own prompt in a wording that is held back is asked once, and no longer held back")
  func ownPrompt() throws {
    let fixture = try Fixture()
    let relation = try fixture.catalogue.relation(named: "R1")
    let last = try #require(relation.templates.last)
    let update = FactUpdate(
      request: try fixture.request(URL(filePath: "never")), fact: relation.facts[0], newAnswer: "Corin",
      ownPrompts: [last], method: .optimized(.update), heldBack: 1)
    #expect(update.heldBack.isEmpty)
    #expect(update.prompts == ([last] + relation.templates.dropLast()).map { $0.prompt(subject: "orvia") })
  }
}
