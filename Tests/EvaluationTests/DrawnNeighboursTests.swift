import BERT
import Editing
import FixtureFiles
import Foundation
import Kernels
import Relations
import Testing

@testable import Evaluation

/// Edits in relations of more facts than are judged, so that some are left for neighbours to be drawn of.
@Suite("Edits beside drawn neighbours")
struct DrawnNeighboursTests {
  private static let subjects = ["wren", "crow", "swan", "robin", "finch"].flatMap { bird in
    ["orvia", "tamel", "quend"].map { bird + " " + $0 }
  }

  /// A request in three relations of fifteen facts each, whose answers are what the fixture's random model says in each
  /// relation's first wording.
  private func withRelations(_ body: (Fixture, EditRequest, _ relations: URL) throws -> Void) throws {
    let patterns = [
      "R1": ["the capital of [X] is [Y] .", "[Y] is the capital of [X] .", "the seat of [X] is in [Y] ."],
      "R2": ["a [X] is a [Y] bird .", "the [X] wears a [Y] coat ."],
      "R3": ["[Y] feathers are from the [X] .", "[Y] rules the land of [X] ."],
    ]
    let model = try Fixture().model
    try FixtureFiles.withDirectory { directory in
      let relations = directory.appending(path: "relations")
      try FileManager.default.createDirectory(
        at: relations.appending(path: "patterns"), withIntermediateDirectories: true)
      var facts: [String: [[String]]] = [:]
      for (name, own) in patterns {
        let prompts = try Self.subjects.map { try model.encode(Template(own[0]).prompt(subject: $0)) }
        let said = model.bert.predict(prompts, read: { $1.best })
        facts[name] = zip(Self.subjects, said).map { [$0, model.piece($1)] }
        let lines = try own.map { String(decoding: try JSONEncoder().encode(["pattern": $0]), as: UTF8.self) }
        try Data(lines.joined(separator: "\n").utf8).write(to: relations.appending(path: "patterns/\(name).jsonl"))
      }
      try JSONEncoder().encode(facts).write(to: relations.appending(path: "facts.json"))
      let fixture = try Fixture(relations: relations)
      try body(fixture, fixture.request(directory.appending(path: "out")), relations)
    }
  }

  private func answer(unlike fact: Fact) -> String { fact.answer == "Corin" ? "Aster" : "Corin" }

  private var update: SlotOptimization {
    var optimization = SlotOptimization.update
    optimization.steps = 4
    return optimization
  }

  private var erasure: SlotOptimization {
    var optimization = SlotOptimization.erasure(layerCount: 2)
    (optimization.steps, optimization.otherRelations, optimization.slots) = (4, 12, 16)
    return optimization
  }

  @Test("the record of an update draws the same neighbours, and gives the same figures bit for bit")
  func updateAgain() throws {
    try withRelations { fixture, request, _ in
      let fact = request.relation.facts[0]
      let plan = try FactUpdate(
        request: request, fact: fact, newAnswer: answer(unlike: fact), ownPrompts: [], method: .optimized(update),
        heldBack: 1
      ).plan()
      func again(_ record: EditRecord) throws -> UpdateEvaluation? {
        try RecordEvaluation(
          record, source: fixture.model, result: nil, catalogue: fixture.catalogue, threads: ThreadCount(2)
        ).update?.edit
      }
      #expect(try again(plan.record) == plan.evaluation)
      var fewer = plan.record
      fewer.method.optimization?.sameRelation = 0
      #expect(try again(fewer) != plan.evaluation, "neighbours of the relation were drawn, and make a difference")
    }
  }

  @Test("the record of an erasure keeps how its neighbours were divided, and gives the same figures bit for bit")
  func erasureAgain() throws {
    try withRelations { fixture, request, _ in
      let plan = try RelationErasure(
        request: request, facts: request.relation.facts, method: .optimized(erasure)
      ).plan()
      let shares = try #require(plan.record.method.neighbourShares)
      #expect(Set(shares.keys) == ["R2", "R3"] && plan.record.facts == request.relation.facts)
      func again(_ record: EditRecord, _ catalogue: RelationCatalogue) throws -> ErasureEvaluation? {
        try RecordEvaluation(
          record, source: fixture.model, result: nil, catalogue: catalogue, threads: ThreadCount(2)
        ).erasure?.edit
      }
      #expect(try again(plan.record, fixture.catalogue) == plan.evaluation)
      var other = plan.record
      other.method.neighbourShares = ["R2": 1, "R3": 1]
      #expect(try again(other, fixture.catalogue) != plan.evaluation)
    }
  }

  @Test("an erasure is not judged on other facts or wordings than its record has, though the numbers of the facts fit")
  func changedRelation() throws {
    try withRelations { fixture, request, relations in
      let record = try RelationErasure(
        request: request, facts: [request.relation.facts[3]], keepsOthers: true, method: .paper(top: 2, fill: .zero)
      ).plan().record
      let file = relations.appending(path: "facts.json")
      let facts = try JSONDecoder().decode([String: [[String]]].self, from: Data(contentsOf: file))
      var changed = facts
      changed["R1"]?.insert(["lisk", "Dovar"], at: 0)
      @discardableResult func judge() throws -> RecordEvaluation {
        try RecordEvaluation(
          record, source: fixture.model, result: nil, catalogue: RelationCatalogue(directory: relations))
      }
      #expect(try judge().usedRecordedRelations == true)
      var more = facts
      more["R2"]?.append(["lisk", "Dovar"])
      try JSONEncoder().encode(more).write(to: file)
      #expect(try judge().usedRecordedRelations == false)
      try JSONEncoder().encode(changed).write(to: file)
      #expect(throws: EditError.otherRelation("R1")) { try judge() }
      var fewer = facts
      fewer["R1"] = Array(facts["R1", default: []].prefix(2))
      try JSONEncoder().encode(fewer).write(to: file)
      #expect(throws: EditError.otherRelation("R1")) { try judge() }
      try JSONEncoder().encode(facts).write(to: file)
      try judge()
      try Data(#"{"pattern": "the capital of [X] is [Y] ."}"#.utf8).write(
        to: relations.appending(path: "patterns/R1.jsonl"))
      #expect(throws: EditError.otherRelation("R1")) { try judge() }
    }
  }

  @Test("what an update takes from other facts falls short of its limits, by those that were answered rightly")
  func limitsOfUpdate() throws {
    try withRelations { fixture, request, _ in
      let fact = request.relation.facts[0]
      let plan = try FactUpdate(
        request: request, fact: fact, newAnswer: answer(unlike: fact), ownPrompts: [],
        method: .paper(lambda1: 400, lambda2: 400)
      ).plan()
      let same = try #require(plan.evaluation.sideEffects.sameRelation)
      let others = try #require(plan.evaluation.sideEffects.otherRelations)
      let (kept, elsewhere) = (try #require(same.keptOfRight), try #require(others.keptOfRight))
      #expect(kept < 1 && elsewhere == 1 && others.kept < 1, "\(same) \(others)")
      let shortfall = try #require(plan.shortfall(EditLimits(success: 0, kept: 1)))
      #expect(shortfall.contains("of the rightly answered prompts on the relation's other facts, not 100 %"))
      #expect(!shortfall.contains("other relations"), "what it guessed there does not count")
      #expect(plan.shortfall(EditLimits(success: 0, kept: kept)) == nil)
    }
  }

  @Test("what an erasure takes from other relations, and from the relation's other facts, falls short of its limits")
  func limitsOfErasure() throws {
    try withRelations { fixture, request, _ in
      let plan = try RelationErasure(
        request: request, facts: Array(request.relation.facts.prefix(2)), keepsOthers: true,
        method: .paper(top: 60, fill: .unk)
      ).plan()
      let found = plan.evaluation
      let (before, after) = (try #require(found.interAccuracyBefore), try #require(found.interAccuracyAfter))
      let facts = try #require(found.otherFacts)
      #expect(after < before && facts.accuracyAfter < facts.accuracyBefore, "\(found)")
      let all = try #require(plan.shortfall(EditLimits(success: 0, kept: 1)))
      #expect(all.contains("of other relations' accuracy is left, not 100 %"))
      #expect(all.contains("of the accuracy on the relation's other facts is left, not 100 %"))
      #expect(plan.shortfall(EditLimits(success: 0, kept: 0)) == nil)
    }
  }
}
