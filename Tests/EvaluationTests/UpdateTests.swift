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

@Suite("Updating a fact from request to record")
struct UpdateTests {
  let fixture: Fixture

  init() throws { fixture = try Fixture() }

  @Test("writes a checkpoint in which the slots of the record differ and nothing else")
  func writes() throws {
    try FixtureFiles.withDirectory { directory in
      let output = directory.appending(path: "out")
      let record = try fixture.update(output).carryOut().record
      let difference = try CheckpointDifference.between(fixture.model.checkpoint, Checkpoint.open(output))
      #expect(difference.slots.map { Neuron(layer: $0.layer, index: $0.index) } == record.neurons)
      #expect(difference.tensors.allSatisfy { $0.name.contains("output") })
      #expect(record.neurons.isEmpty == false)
      #expect(
        try FileManager.default.contentsOfDirectory(atPath: output.path).sorted()
          == ["config.json", "edit.json", "tf_model.h5", "tokenizer_config.json", "vocab.txt"])
    }
  }

  @Test(
    "the written checkpoint says what the record says it says, also where it holds less exact numbers",
    arguments: ["keras", "safetensors-bf16", "safetensors-f16", "flat-half"])
  func recorded(name: String) throws {
    let fixture = try Fixture(name)
    try FixtureFiles.withDirectory { directory in
      let output = directory.appending(path: "out")
      let record = try fixture.update(output).carryOut().record
      let written = try MaskedLanguageModel(opening: output)
      // Asked as the record's evaluation asked, about both answers in one pass: other batches go through other products, which
      // round differently.
      let prompts = try ([try #require(record.editedPrompt)] + record.prompts).map { try written.encode($0) }
      let answer = try fixture.model.answer("Corin")
      let p = written.bert.predict(prompts + prompts, threads: ThreadCount(try #require(record.machine).threads)) {
        ($1.probability(of: answer), $1.rank(of: answer))
      }[prompts.count]
      #expect(abs((record.after["newProbability"] ?? 0) - p.0) < 1e-9)
      #expect(record.after["newRank"] == Double(p.1))
      #expect(record.source.sha256 == (try fingerprint(of: fixture.model.checkpoint.weightsFile)))
      #expect(record.result?.sha256 == (try fingerprint(of: written.checkpoint.weightsFile)))
      #expect(record.prompts.contains(try #require(record.editedPrompt)))
      #expect(record.method == .init(name: .paper, lambda1: 1, lambda2: 8))
      #expect(record.machine == EditRecord.Machine(threads: 2, instructions: instructionSet))
    }
  }

  @Test("the record that lies in the directory is the one returned, and the edit made again from it is the same")
  func again() throws {
    try FixtureFiles.withDirectory { directory in
      let output = directory.appending(path: "out")
      let record = try fixture.update(output).carryOut().record
      let read = try EditRecord(contentsOf: output)
      #expect(read.neurons == record.neurons && read.fact == record.fact && read.seed == 7 && read.schema == 1)
      let method = PaperUpdate(
        old: try fixture.model.answer(record.fact?.answer ?? ""), new: try fixture.model.answer(record.newAnswer ?? ""),
        lambda1: read.method.lambda1 ?? 0, lambda2: read.method.lambda2 ?? 0)
      let slots = method.valueSlots(of: read.neurons, in: fixture.model)
      let redone = directory.appending(path: "redone")
      _ = try fixture.model.checkpoint.writePatched(slots, to: redone, overwrite: false)
      #expect(
        try Data(contentsOf: redone.appending(path: "tf_model.h5"))
          == Data(contentsOf: output.appending(path: "tf_model.h5")))
    }
  }

  @Test("evaluating a record gives the update's own figures, from the files and from memory")
  func evaluating() throws {
    try FixtureFiles.withDirectory { directory in
      let output = directory.appending(path: "out")
      let outcome = try fixture.update(output).carryOut()
      for result in [nil, try MaskedLanguageModel(opening: output)] {
        let evaluation = try RecordEvaluation(
          outcome.record, source: fixture.model, result: result, catalogue: fixture.catalogue, threads: ThreadCount(2))
        #expect(evaluation.update?.edit == outcome.evaluation)
        #expect(evaluation.usedWrittenCheckpoint == (result != nil))
        #expect(evaluation.update?.control != nil && evaluation.erasure == nil)
      }
    }
  }

  @Test("a record is not judged on a checkpoint with another fingerprint")
  func otherCheckpoint() throws {
    try FixtureFiles.withDirectory { directory in
      let record = try fixture.update(directory.appending(path: "out")).carryOut().record
      let other = try Fixture("keras-pretraining").model
      #expect(throws: EditError.self) {
        try RecordEvaluation(record, source: other, result: nil, catalogue: fixture.catalogue)
      }
    }
  }

  @Test(
    "a new answer that the fact has, that the model gives everywhere, or that is no word is refused and nothing is written"
  )
  func nothingToDo() throws {
    try FixtureFiles.withDirectory { directory in
      let output = directory.appending(path: "out")
      #expect(throws: EditError.sameAnswer("Aster", subject: "orvia", relation: "R1")) {
        try fixture.update(output, to: "Aster").carryOut()
      }
      #expect(throws: EditError.specialAnswer("[PAD]")) { try fixture.update(output, to: "[PAD]").carryOut() }
      let relation = try fixture.catalogue.relation(named: "R1")
      let one = Relation(
        name: "R1", label: "capital", templates: [relation.templates[0]], facts: relation.facts)
      let prompt = one.prompts(for: one.facts[0])[0]
      let said = fixture.model.piece(fixture.model.bert.predict([try fixture.model.encode(prompt)]) { $1.best }[0])
      var request = try fixture.request(output)
      request = EditRequest(
        model: request.model, modelPath: "", catalogue: request.catalogue, relationsPath: "", relation: one,
        located: nil, method: request.method, output: output, overwrite: false, seed: 0, tool: "",
        threads: request.threads, memory: request.memory)
      #expect(throws: EditError.alreadySays(said, prompts: 1)) {
        try FactUpdate(
          request: request, fact: one.facts[0], newAnswer: said, ownPrompts: [], method: .paper(lambda1: 1, lambda2: 8)
        ).carryOut()
      }
      #expect(!FileManager.default.fileExists(atPath: output.path))
    }
  }

  @Test("neurons of another model, of another fact, or none at all are errors, and nothing is written")
  func badNeurons() throws {
    try FixtureFiles.withDirectory { directory in
      let output = directory.appending(path: "out")
      func located(_ subject: String, _ neurons: [LocatedFact.Member]) -> LocatedRelation {
        LocatedRelation(
          relation: "R1", p: 0.7, meanSize: 0, rule: "riemann", steps: 20,
          facts: [LocatedFact(subject: subject, answer: "Aster", neurons: neurons)])
      }
      for (given, wanted) in [
        (located("orvia", []), EditError.noNeurons(relation: "R1", subject: "orvia") as any Error),
        (
          located("orvia", [.init(layer: 2, index: 0, prompts: 1)]),
          LocationError.noSuchNeuron(layer: 2, index: 0, layers: 2, width: 32)
        ),
        (located("tamel", []), LocationError.missingFact(subject: "orvia", answer: "Aster", relation: "R1")),
      ] {
        let error = #expect(throws: (any Error).self) { try fixture.update(output, located: given).carryOut() }
        #expect(error.map { "\($0)" } == "\(wanted)")
      }
      #expect(!FileManager.default.fileExists(atPath: output.path))
    }
  }

  @Test("an output that exists is refused without being told to replace it, and then replaced")
  func existing() throws {
    try FixtureFiles.withDirectory { directory in
      let output = directory.appending(path: "out")
      _ = try fixture.update(output).carryOut()
      let before = try Data(contentsOf: output.appending(path: "tf_model.h5"))
      #expect(throws: CheckpointError.self) { try fixture.update(output, to: "Dovar").carryOut() }
      #expect(try Data(contentsOf: output.appending(path: "tf_model.h5")) == before)
      _ = try fixture.update(output, to: "Dovar", overwrite: true).carryOut()
      #expect(try Data(contentsOf: output.appending(path: "tf_model.h5")) != before)
      #expect(try EditRecord(contentsOf: output).newAnswer == "Dovar")
    }
  }

  @Test("one's own prompts come first and are judged first")
  func ownPrompts() throws {
    try FixtureFiles.withDirectory { directory in
      let request = try fixture.request(directory.appending(path: "out"))
      let update = FactUpdate(
        request: request, fact: request.relation.facts[0], newAnswer: "Corin",
        ownPrompts: [try Template("[Y] governs [X] ."), try Template("the land is [MASK] .")],
        method: .paper(lambda1: 1, lambda2: 8))
      let record = try update.carryOut().record
      #expect(record.editedPrompt == "[MASK] governs orvia .")
      #expect(record.prompts.prefix(2) == ["[MASK] governs orvia .", "the land is [MASK] ."])
      #expect(record.prompts.count == 6)
    }
  }
}
