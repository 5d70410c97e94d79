import BERT
import Checkpoint
import Editing
import Evaluation
import FixtureFiles
import Foundation
import Kernels
import Neurons
import Relations
import Testing

@Suite("Editing by optimised value slots")
struct OptimizedEditTests {
  let fixture: Fixture

  init() throws { fixture = try Fixture() }

  /// The fixture's random weights let slots move answers only so far, which takes many of them, and neighbours give way.
  private var optimization: SlotOptimization {
    SlotOptimization(
      slots: 32, layers: 2, confidence: 0.2, steps: 150, rate: 0.1, neighbourWeight: 0.01, sameRelation: 3,
      otherRelations: 3, form: .free)
  }

  private func targets(_ model: MaskedLanguageModel, _ answer: String) throws -> [AttributionTarget] {
    try ["the capital of orvia is [MASK] .", "the seat of orvia is in [MASK] ."].flatMap {
      try model.factors($0, answer: answer)
    }
  }

  @Test(
    "moves the chosen slots, and no others, until the new answer is as likely as asked on every prompt",
    arguments: ["Corin", "Asterb"])
  func holds(answer: String) throws {
    let model = fixture.model
    let targets = try targets(model, answer)
    let method = OptimizedUpdate(
      targets: [targets], neighbours: [try model.encode("a crow is a [MASK] bird .")], optimization: optimization)
    let neurons = (0..<32).map { Neuron(layer: 1, index: $0) }
    let slots = method.valueSlots(of: neurons, in: model)
    #expect(slots.map { Neuron(layer: $0.layer, index: $0.index) } == neurons)
    let wanted = targets.map(\.answer)
    let probabilities = model.replacing(slots).bert.predict(targets.map(\.prompt)) { $1.probability(of: wanted[$0]) }
    // Two answers at once are nearly more than the fixture's slots can carry; before, they have P of about 0.01.
    #expect(probabilities.allSatisfy { $0 >= (targets.count > 2 ? 0.1 : 0.19) }, "\(probabilities)")
    #expect(method.valueSlots(of: neurons, in: model) == slots, "the same again, bit for bit")
  }

  /// x with `matrix` · x = `right`, by Gaussian elimination.
  private func solved(_ matrix: [[Double]], _ right: [Double]) -> [Double] {
    var rows = zip(matrix, right).map { $0 + [$1] }
    for pivot in rows.indices {
      for row in rows.indices where row != pivot {
        let factor = rows[row][pivot] / rows[pivot][pivot]
        for column in rows[row].indices { rows[row][column] -= factor * rows[pivot][column] }
      }
    }
    return rows.indices.map { rows[$0][right.count] / rows[$0][$0] }
  }

  @Test("a keyed change is a key times one value in each layer, and the key is the closed form's")
  func keyed() throws {
    let model = fixture.model
    var parameters = optimization
    parameters.form = .keyed
    let own = try targets(model, "Corin")
    let neighbours = try ["a crow is a [MASK] bird .", "the capital of tarn is [MASK] ."].map { try model.encode($0) }
    let method = OptimizedUpdate(targets: [own], neighbours: neighbours, optimization: parameters)
    let neurons = [(0, 3), (0, 9), (1, 2), (1, 5), (1, 30)].map { Neuron(layer: $0.0, index: $0.1) }
    let changes = method.valueSlots(of: neurons, in: model).map { slot in
      zip(slot.values, model.bert.weights.valueSlot(layer: slot.layer, index: slot.index)).map { Double($0 - $1) }
    }
    let width = model.bert.configuration.intermediateSize
    for layer in [0, 1] {
      let places = neurons.indices.filter { neurons[$0].layer == layer }
      func rows(_ prompts: [EncodedPrompt]) -> [[Double]] {
        model.bert.activations(prompts).map { row in places.map { Double(row[layer * width + neurons[$0].index]) } }
      }
      try expectKeyed(places.map { changes[$0] }, asked: rows(own.map(\.prompt)), elsewhere: rows(neighbours))
    }
  }

  /// Expects changes along the key that activations where a question is asked and elsewhere make, `[prompts, neurons]`.
  private func expectKeyed(_ changes: [[Double]], asked: [[Double]], elsewhere: [[Double]]) throws {
    let mean = changes.indices.map { place in asked.reduce(0) { $0 + $1[place] } / Double(asked.count) }
    func moment(_ rows: [[Double]], _ i: Int, _ j: Int) -> Double {
      rows.reduce(0) { $0 + $1[i] * $1[j] } / Double(rows.count)
    }
    let covariance = changes.indices.map { i in
      changes.indices.map { j in (i == j ? 0.01 : 0) + moment(asked, i, j) + moment(elsewhere, i, j) }
    }
    let key = solved(covariance, mean)
    let largest = try #require(key.indices.max { abs(key[$0]) < abs(key[$1]) })
    #expect(norm(changes[largest]) > 1e-3, "the optimisation moves something")
    for place in key.indices {
      for column in 0..<16 {
        let expected = changes[largest][column] * key[place] / key[largest]
        // Float32 slots of size about 1 hold a change to 1e-7; the key's condition multiplies that.
        #expect(abs(changes[place][column] - expected) < 1e-5)
      }
    }
  }

  private func norm(_ x: [Double]) -> Double { x.reduce(0) { $0 + $1 * $1 }.squareRoot() }

  @Test("in the subject's layer, keys are made of what neurons do at the subject, and silent on others and other words")
  func subjectKeys() throws {
    let model = fixture.model
    var parameters = optimization
    (parameters.form, parameters.layers, parameters.subjectLayers) = (.keyed, 1, .numbers([0]))
    let own = try targets(model, "Corin").map { $0.naming("orvia", in: model) }
    let neighbours = try [("a crow is a [MASK] bird .", "crow"), ("the capital of tarn is [MASK] .", "tarn")].map {
      try model.encode($0.0).naming(model.subject($0.1))
    }
    // The same subject must not be silent, whatever is asked about it.
    let other = try model.encode("the river of orvia is [MASK] .").naming(model.subject("orvia"))
    let method = OptimizedUpdate(
      targets: [own], sameSubject: [other], neighbours: neighbours, optimization: parameters)
    let neurons = [3, 9, 14].map { Neuron(layer: 0, index: $0) }
    let changes = method.valueSlots(of: neurons, in: model).map { slot in
      zip(slot.values, model.bert.weights.valueSlot(layer: 0, index: slot.index)).map { Double($0 - $1) }
    }
    let traced = method.traced(in: model, from: 0)
    func rows(_ goals: Range<Int>, _ position: PromptPosition) -> [[Double]] {
      traced.activations(of: neurons.map { (layer: 0, index: $0.index) }, goals: goals, at: position).map {
        $0.map(Double.init)
      }
    }
    try expectKeyed(
      changes, asked: rows(own.indices, .subject),
      elsewhere: rows(traced.strangers, .subject) + rows(traced.strangers, .elsewhere))
  }

  @Test("what relations without a fact about the subject say of it moves less when the edit heeds that")
  func unlistedRelations() throws {
    let relation = try fixture.catalogue.relation(named: "R2")
    let prompts = try relation.templates.map { try fixture.model.encode($0.prompt(subject: "orvia")) }
    let before = fixture.model.bert.predict(prompts) { $1.logProbabilities }
    func divergence(heeding count: Int) throws -> Double {
      var parameters = optimization
      (parameters.unlisted, parameters.sameRelation, parameters.otherRelations) = (count, 1, 1)
      parameters.following = .all
      return try FixtureFiles.withDirectory { directory in
        let request = try fixture.request(directory.appending(path: "out"))
        _ = try FactUpdate(
          request: request, fact: request.relation.facts[0], newAnswer: "Corin", ownPrompts: [],
          method: .optimized(parameters)
        ).carryOut()
        let after = try MaskedLanguageModel(opening: directory.appending(path: "out")).bert.predict(prompts) {
          $1.logProbabilities
        }
        var sum = 0.0
        for (old, new) in zip(before.joined(), after.joined()) { sum += exp(Double(old)) * Double(old - new) }
        return sum
      }
    }
    let (without, with) = (try divergence(heeding: 0), try divergence(heeding: 1))
    #expect(with < 0.9 * without, "\(with) \(without)")
  }

  @Test("what else is asked about the subject is judged, and moves less when the edit heeds it")
  func sameSubject() throws {
    try FixtureFiles.withDirectory { directory in
      let relations = directory.appending(path: "relations")
      try FileManager.default.copyItem(
        at: FixtureFiles.directory.appending(path: "relations"), to: relations)
      let facts = #"{"R1": [["orvia", "Aster"], ["tamel", "Bremel"]], "R2": [["wren", "brown"], ["orvia", "red"]]}"#
      try Data(facts.utf8).write(to: relations.appending(path: "facts.json"))
      let fixture = try Fixture("keras", relations: relations)
      func divergence(heeding count: Int) throws -> Double {
        var parameters = optimization
        (parameters.sameSubject, parameters.sameRelation, parameters.otherRelations) = (count, 1, 1)
        // In random weights every row listens to all others alike.
        parameters.following = .all
        let request = try fixture.request(directory.appending(path: "out"))
        let evaluation = try FactUpdate(
          request: request, fact: request.relation.facts[0], newAnswer: "Corin", ownPrompts: [],
          method: .optimized(parameters)
        ).plan().evaluation
        return try #require(evaluation.sideEffects.sameSubject).divergence
      }
      let (without, with) = (try divergence(heeding: 0), try divergence(heeding: 8))
      #expect(with < 0.8 * without, "\(with) \(without)")
      // Its other relation is edited too, but not about it.
      let request = try fixture.request(directory.appending(path: "out"))
      let wren = try fixture.catalogue.relation(named: "R2").facts[0]
      let both = try BatchUpdate(
        request: request, changes: [(request.relation.facts[0], "Corin"), (wren, "white")], optimization: optimization,
        heldBack: 1, isSequential: false
      ).plan().evaluation
      #expect(both.sideEffects.sameSubject != nil)
    }
  }

  @Test("of the neighbours, the one that the key responds to most is the one that is heeded")
  func heeded() throws {
    let model = fixture.model
    // Nothing asks what the crow is; the other asks what the edit asks, of another subject.
    let prompts = try ["a crow is a [MASK] bird .", "the capital of tarn is [MASK] ."].map { try model.encode($0) }
    let before = model.bert.predict(prompts) { $1.logProbabilities }
    func divergences(heeding count: Int, weight: Double) throws -> [Double] {
      var parameters = optimization
      (parameters.form, parameters.heeded, parameters.neighbourWeight) = (.keyed, count, weight)
      let method = OptimizedUpdate(
        targets: [try targets(model, "Corin")], neighbours: prompts, optimization: parameters)
      let slots = method.valueSlots(of: (0..<3).map { Neuron(layer: 1, index: $0) }, in: model)
      let after = model.replacing(slots).bert.predict(prompts) { $1.logProbabilities }
      return zip(before, after).map { zip($0, $1).reduce(0) { $0 + exp(Double($1.0)) * Double($1.0 - $1.1) } }
    }
    let free = try divergences(heeding: 1, weight: 0)
    let one = try divergences(heeding: 1, weight: 10)
    let moved = try #require(free.indices.max { free[$0] < free[$1] })
    #expect(one[moved] < 0.5 * free[moved], "\(free) \(one)")
    let none = try divergences(heeding: 0, weight: 10)
    #expect(none[moved] > 2 * one[moved], "\(none)")
    #expect(try divergences(heeding: 2, weight: 10) == divergences(heeding: 9, weight: 10))
  }

  @Test("an edit sought where only [MASK] and the subject follow holds on whole prompts, as one sought with all does")
  func following() throws {
    let model = fixture.model
    let own = try targets(model, "Corin").map { $0.naming("orvia", in: model) }
    let neurons = (0..<2).flatMap { layer in (0..<16).map { Neuron(layer: layer, index: $0) } }
    func edited(_ following: FollowedPieces) -> (slots: [ValueSlot], probabilities: [Double]) {
      var parameters = optimization
      parameters.following = following
      let slots = OptimizedUpdate(targets: [own], neighbours: [], optimization: parameters)
        .valueSlots(of: neurons, in: model)
      return (
        slots, model.replacing(slots).bert.predict(own.map(\.prompt)) { $1.probability(of: own[$0].answer) }
      )
    }
    let (some, all) = (edited(.edited), edited(.all))
    #expect(some.slots != all.slots)
    // The confidence asked for is 0.2; the last steps, of all pieces, are small ones.
    for probability in some.probabilities + all.probabilities { #expect(probability > 0.19) }
  }

  @Test("neighbours that weigh more move less")
  func neighbours() throws {
    let model = fixture.model
    let neighbour = try model.encode("a crow is a [MASK] bird .")
    let before = model.bert.predict([neighbour]) { $1.logProbabilities }[0]
    func divergence(_ weight: Double) throws -> Double {
      var parameters = optimization
      parameters.neighbourWeight = weight
      let method = OptimizedUpdate(
        targets: [try targets(model, "Corin")], neighbours: [neighbour], optimization: parameters)
      let slots = method.valueSlots(of: (0..<32).map { Neuron(layer: 1, index: $0) }, in: model)
      let after = model.replacing(slots).bert.predict([neighbour]) { $1.logProbabilities }[0]
      return zip(before, after).reduce(0) { $0 + exp(Double($1.0)) * Double($1.0 - $1.1) }
    }
    #expect(try divergence(10) < 0.5 * divergence(0))
  }

  @Test(
    "an update's record makes the edit again, and names what was held back, which no prompt of the edit is",
    arguments: [SubjectLayers.absent, .middle])
  func record(subjectLayers: SubjectLayers) throws {
    var optimization = optimization
    if subjectLayers == .middle {
      (optimization.layers, optimization.subjectLayers, optimization.form) = (1, .middle, .keyed)
    }
    try FixtureFiles.withDirectory { directory in
      let request = try fixture.request(directory.appending(path: "out"))
      let update = FactUpdate(
        request: request, fact: request.relation.facts[0], newAnswer: "Corin", ownPrompts: [],
        method: .optimized(optimization), heldBack: 1)
      let outcome = try update.carryOut()
      let record = try EditRecord(contentsOf: directory.appending(path: "out"))
      #expect(record.method == .init(name: .optimized, optimization: optimization))
      #expect(record.neurons.count <= 32 && !record.neurons.isEmpty)
      // A layer for what is asked and one for the subject share the slots.
      if subjectLayers == .middle { #expect(record.neurons.filter { $0.layer == 0 }.count == 16) }
      #expect(record.heldBack == [request.relation.templates[3].pattern])
      #expect(record.prompts == Array(request.relation.prompts(for: update.fact).prefix(3)))
      let again = try RecordEvaluation(
        record, source: fixture.model, result: nil, catalogue: fixture.catalogue, threads: ThreadCount(2))
      let edit = try #require(again.update?.edit)
      #expect(edit == outcome.evaluation && edit.heldBack.count == 1)
      #expect(edit.slots == record.neurons.count && edit.changeNorm > 0)
    }
  }

  @Test("an answer of another number of pieces can take the place of one, and the figures are of the whole answer")
  func severalPieces() throws {
    try FixtureFiles.withDirectory { directory in
      let request = try fixture.request(directory.appending(path: "out"))
      let update = FactUpdate(
        request: request, fact: request.relation.facts[0], newAnswer: "Corinb", ownPrompts: [],
        method: .optimized(optimization))
      let plan = try update.plan()
      #expect(!FileManager.default.fileExists(atPath: directory.appending(path: "out").path), "a plan writes nothing")
      let row = plan.evaluation.edited
      let model = fixture.model
      let factors = try model.factors(row.prompt, answer: "Corinb")
      let p = model.bert.predict(factors.map(\.prompt)) { $1.probability(of: factors[$0].answer) }
      #expect(factors.count == 2 && abs(row.newProbabilityBefore - p[0] * p[1]) < 1e-9)
      #expect(row.newProbabilityAfter > 3 * row.newProbabilityBefore)
      #expect(throws: ModelError.self) {
        try FactUpdate(
          request: request, fact: request.relation.facts[0], newAnswer: "Corinb", ownPrompts: [],
          method: .paper(lambda1: 1, lambda2: 8)
        ).plan()
      }
    }
  }

  @Test("pieces asked for together are so in the edit, its figures and its record, which gives the same again")
  func piecesTogether() throws {
    try FixtureFiles.withDirectory { directory in
      let like = try fixture.request(directory.appending(path: "out"))
      let request = EditRequest(
        model: like.model, modelPath: "", catalogue: like.catalogue, relationsPath: "", relation: like.relation,
        located: nil, method: like.method, order: .together, output: like.output, overwrite: false, seed: 7, tool: "",
        threads: like.threads, memory: like.memory)
      let plan = try FactUpdate(
        request: request, fact: request.relation.facts[0], newAnswer: "Corinb", ownPrompts: [],
        method: .optimized(optimization)
      ).plan()
      let (model, row) = (fixture.model, plan.evaluation.edited)
      let factors = try model.factors(row.prompt, answer: "Corinb", order: .together)
      let p = model.bert.predict(factors.map(\.prompt)) { $1.probability(of: factors[$0].answer) }
      // Products of the same float32 numbers but for how prompts are batched.
      #expect(factors.count == 2 && abs(row.newProbabilityBefore / (p[0] * p[1]) - 1) < 1e-5)
      #expect(row.newProbabilityAfter > row.newProbabilityBefore && plan.record.order == .together)
      let again = try RecordEvaluation(
        plan.record, source: model, result: nil, catalogue: fixture.catalogue, threads: ThreadCount(2))
      #expect(again.update?.edit == plan.evaluation)
    }
  }

  @Test("several facts are edited together, or one after another, and each is judged", arguments: [false, true])
  func batch(isSequential: Bool) throws {
    try FixtureFiles.withDirectory { directory in
      let output = directory.appending(path: "out")
      let request = try fixture.request(output)
      let other = try fixture.catalogue.relation(named: "R2").facts[1]
      var parameters = optimization
      parameters.slots = 8
      let update = try BatchUpdate(
        request: request, changes: [(request.relation.facts[0], "Corin"), (other, "white")], optimization: parameters,
        heldBack: 1, isSequential: isSequential)
      let plan = try update.plan()
      let record = try update.write(plan)
      #expect(record.edits?.map(\.newAnswer) == ["Corin", "white"] && record.fact == nil)
      #expect(record.neurons.count <= 16 && record.neurons == record.neurons.sorted())
      #expect(plan.evaluation.edits.map(\.newAnswer) == ["Corin", "white"])
      #expect(plan.evaluation.edits.allSatisfy { $0.heldBackSuccessRate != nil })
      let again = try RecordEvaluation(
        record, source: fixture.model, result: MaskedLanguageModel(opening: output), catalogue: fixture.catalogue)
      #expect(again.batch?.edit == plan.evaluation)
      #expect((again.batch?.control == nil) == isSequential)
      if !isSequential {
        let redone = try RecordEvaluation(record, source: fixture.model, result: nil, catalogue: fixture.catalogue)
        #expect(redone.batch?.edit.successRate == plan.evaluation.successRate)
      } else {
        #expect(throws: EditError.self) {
          try RecordEvaluation(record, source: fixture.model, result: nil, catalogue: fixture.catalogue)
        }
      }
    }
  }

  @Test("several facts are judged on the same questions again, also about a subject that two relations know")
  func batchOfSharedSubjects() throws {
    try FixtureFiles.withDirectory { directory in
      let relations = directory.appending(path: "relations")
      try FileManager.default.copyItem(at: FixtureFiles.directory.appending(path: "relations"), to: relations)
      let file = relations.appending(path: "facts.json")
      var facts = try JSONDecoder().decode([String: [[String]]].self, from: Data(contentsOf: file))
      for subject in ["orvia", "tamel", "quend"] { facts["R2"]?.append([subject, "white"]) }
      try JSONEncoder().encode(facts).write(to: file)
      let fixture = try Fixture(relations: relations)
      let request = try fixture.request(directory.appending(path: "out"))
      let changes = [
        (request.relation.facts[0], "Corin"), (request.relation.facts[1], "Corin"),
        (request.relation.facts[2], "Aster"),
        (try fixture.catalogue.relation(named: "R2").facts[0], "white"),
      ]
      var parameters = optimization
      (parameters.slots, parameters.steps) = (8, 3)
      func update(_ changes: [(Fact, String)]) throws -> BatchUpdate {
        try BatchUpdate(
          request: request, changes: changes, optimization: parameters, heldBack: 2, isSequential: false)
      }
      let plan = try update(changes).plan()
      #expect(plan.evaluation.sideEffects.sameSubject != nil)
      let redone = try RecordEvaluation(plan.record, source: fixture.model, result: nil, catalogue: fixture.catalogue)
      #expect(redone.batch?.edit == plan.evaluation)
      #expect(throws: EditError.givenTwice(subject: "orvia", relation: "R1")) {
        try update(changes + [(request.relation.facts[0], "Dovar")])
      }
    }
  }

  @Test("an erasure makes the relation's answers less likely and leaves a record that judges it again")
  func erasure() throws {
    try FixtureFiles.withDirectory { directory in
      let request = try fixture.request(directory.appending(path: "out"), relation: "R2")
      let outcome = try RelationErasure(
        request: request, facts: request.relation.facts, method: .optimized(optimization)
      ).carryOut()
      #expect(outcome.record.neurons.count <= 32 && outcome.record.factIndices == [0, 1, 2, 3, 4])
      let again = try RecordEvaluation(
        outcome.record, source: fixture.model, result: nil, catalogue: fixture.catalogue, threads: ThreadCount(2))
      let figures = try #require(again.erasure)
      #expect(figures.edit == outcome.evaluation)
      #expect(figures.control != nil && figures.edit.relations.map(\.relation) == ["R1"])
    }
  }

  @Test("a record that someone has changed is an error or is judged, never a crash")
  func hostileRecords() throws {
    try FixtureFiles.withDirectory { directory in
      let request = try fixture.request(directory.appending(path: "out"))
      let record = try FactUpdate(
        request: request, fact: request.relation.facts[0], newAnswer: "Corin", ownPrompts: [],
        method: .optimized(optimization)
      ).carryOut().record
      func judge(_ change: (inout EditRecord) -> Void) throws {
        var changed = record
        change(&changed)
        _ = try RecordEvaluation(changed, source: fixture.model, result: nil, catalogue: fixture.catalogue)
      }
      #expect(throws: LocationError.self) { try judge { $0.neurons.append(Neuron(layer: 2, index: 0)) } }
      #expect(throws: EditError.self) { try judge { $0.method.optimization?.steps = -1 } }
      #expect(throws: EditError.self) { try judge { $0.method.optimization?.layers = 0 } }
      #expect(throws: EditError.noEdits) { try judge { $0.edits = [] } }
      #expect(throws: EditError.self) { try judge { $0.prompts = [] } }
      let erasure = try RelationErasure(
        request: fixture.request(directory.appending(path: "erased"), relation: "R2"),
        facts: fixture.catalogue.relation(named: "R2").facts, method: .optimized(optimization)
      ).carryOut().record
      var changed = erasure
      changed.method.optimization?.subjectLayers = .middle
      changed.method.optimization?.layers = 1
      changed.method.optimization?.form = .keyed
      _ = try RecordEvaluation(changed, source: fixture.model, result: nil, catalogue: fixture.catalogue)
    }
  }

  @Test("limits name what an update misses, and nothing when it holds")
  func limits() throws {
    try FixtureFiles.withDirectory { directory in
      let request = try fixture.request(directory.appending(path: "out"))
      let plan = try FactUpdate(
        request: request, fact: request.relation.facts[0], newAnswer: "Corin", ownPrompts: [],
        method: .paper(lambda1: 0, lambda2: 0)
      ).plan()
      var limits = EditLimits.update
      #expect(plan.shortfall(limits)?.contains("comes first on 0 %") == true)
      for (share, words) in [(0.58, "not 58 %"), (0.995, "not 99.5 %")] {
        limits.success = share
        #expect(plan.shortfall(limits)?.contains(words) == true)
      }
      limits.success = 0
      #expect(plan.shortfall(limits) == nil, "nothing has moved, so everything is kept")
      #expect(plan.record.limits == nil && plan.judged(by: limits).record.limits == limits)
      #expect(plan.judged(by: limits).record.shortfall == nil)
      #expect(plan.judged(by: .update).record.shortfall == plan.shortfall(.update))
      // A relation that the random model knows: what it says.
      let known = try fixture.catalogue.relation(named: "R2")
      let said = fixture.model.bert.predict(
        try known.facts.map { try fixture.model.encode(known.prompts(for: $0)[0]) }, read: { $1.best })
      let facts = zip(known.facts, said).map {
        Fact(relation: "R2", subject: $0.subject, answer: fixture.model.piece($1))
      }
      let like = try fixture.request(directory.appending(path: "erased"), relation: "R2")
      let erasing = EditRequest(
        model: like.model, modelPath: "", catalogue: like.catalogue, relationsPath: "",
        relation: Relation(name: "R2", label: known.label, templates: known.templates, facts: facts), located: nil,
        method: like.method, output: like.output, overwrite: false, seed: 0, tool: "", threads: like.threads,
        memory: like.memory)
      let erasure = try RelationErasure(request: erasing, facts: facts, method: .paper(top: 1, fill: .zero)).plan()
      #expect(erasure.shortfall(EditLimits(success: 1, kept: 0))?.contains("are wrong now, not 100 %") == true)
      #expect(erasure.shortfall(EditLimits(success: 0, kept: 0)) == nil)
    }
  }

  @Test("a catalogue of one fact leaves nothing to judge by, which limits do not hold against an edit")
  func loneFact() throws {
    try FixtureFiles.withDirectory { directory in
      let relations = directory.appending(path: "relations")
      try FileManager.default.copyItem(at: FixtureFiles.directory.appending(path: "relations"), to: relations)
      try Data(#"{"R1": [["orvia", "Aster"]]}"#.utf8).write(to: relations.appending(path: "facts.json"))
      let fixture = try Fixture(relations: relations)
      let request = try fixture.request(directory.appending(path: "out"))
      let plan = try FactUpdate(
        request: request, fact: request.relation.facts[0], newAnswer: "Corin", ownPrompts: [],
        method: .paper(lambda1: 1, lambda2: 8)
      ).plan()
      #expect(plan.evaluation.sideEffects.sameRelation == nil && plan.evaluation.sideEffects.otherRelations == nil)
      #expect(plan.record.before["interPerplexity"] == nil && plan.record.after["interKept"] == nil)
      #expect(plan.shortfall(EditLimits(success: 0, kept: 1)) == nil)
    }
  }

  @Test("a record that names other slots than its checkpoint changes is refused")
  func otherNeurons() throws {
    try FixtureFiles.withDirectory { directory in
      let output = directory.appending(path: "out")
      let record = try fixture.update(output).carryOut().record
      var changed = record
      changed.neurons.removeLast()
      let result = try MaskedLanguageModel(opening: output)
      #expect(throws: EditError.self) {
        try RecordEvaluation(changed, source: fixture.model, result: result, catalogue: fixture.catalogue)
      }
    }
  }

  @Test("a subject that the vocabulary cannot spell, and an output that is not what an edit wrote, are refused")
  func refusals() throws {
    try FixtureFiles.withCopy(of: "keras") { model in
      let request = try fixture.request(model, overwrite: true)
      let fact = request.relation.facts[0]
      #expect(throws: EditError.notAnEdit(path: model.path)) {
        try FactUpdate(
          request: request, fact: fact, newAnswer: "Corin", ownPrompts: [], method: .paper(lambda1: 1, lambda2: 8)
        ).plan()
      }
      // Nor is a part of one: what lies there is nobody's edit, whatever it is called.
      let part = model.appending(path: "part")
      try FileManager.default.createDirectory(at: part, withIntermediateDirectories: false)
      for name in ["config.json", EditRecord.fileName] { try Data("[]".utf8).write(to: part.appending(path: name)) }
      #expect(throws: EditError.notAnEdit(path: part.path)) {
        try FactUpdate(
          request: fixture.request(part, overwrite: true), fact: fact, newAnswer: "Corin", ownPrompts: [],
          method: .paper(lambda1: 1, lambda2: 8)
        ).plan()
      }
      // Nor are settings that the source lacks, which would be removed.
      let settings = model.appending(path: "settings")
      try FileManager.default.createDirectory(at: settings, withIntermediateDirectories: false)
      try Data("{}".utf8).write(to: settings.appending(path: "added_tokens.json"))
      #expect(throws: EditError.notAnEdit(path: settings.path)) {
        try fixture.update(settings, overwrite: true).plan()
      }
      // Nor what was written to after the edit that its record tells of.
      let tuned = model.appending(path: "tuned")
      _ = try fixture.update(tuned).carryOut()
      _ = try fixture.update(tuned, overwrite: true).carryOut()
      let weights = tuned.appending(path: "tf_model.h5")
      let handle = try FileHandle(forWritingTo: weights)
      try handle.seekToEnd()
      try handle.write(contentsOf: Data([0]))
      try handle.close()
      #expect(throws: EditError.changedSince(path: weights.path)) {
        try fixture.update(tuned, overwrite: true).plan()
      }
      let unknown = Fact(relation: "R1", subject: "東京", answer: "Aster")
      #expect(throws: ModelError.unknownSubject("東京")) {
        try FactUpdate(
          request: fixture.request(model.appending(path: "new")), fact: unknown, newAnswer: "Corin", ownPrompts: [],
          method: .optimized(optimization)
        ).plan()
      }
    }
  }
}
