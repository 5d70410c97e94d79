import BERT
import Editing
import Evaluation
import FixtureFiles
import Foundation
import Kernels
import Neurons
import Relations

/// The tiny model and its relations.
struct Fixture {
  let model: MaskedLanguageModel
  let catalogue: RelationCatalogue

  init(
    _ name: String = "keras", relations: URL = FixtureFiles.directory.appending(path: "relations")
  ) throws {
    model = try MaskedLanguageModel(opening: FixtureFiles.directory.appending(path: name))
    catalogue = try RelationCatalogue(directory: relations)
  }

  func request(_ output: URL, relation: String = "R1", located: LocatedRelation? = nil, overwrite: Bool = false) throws
    -> EditRequest
  {
    EditRequest(
      model: model, modelPath: "keras", catalogue: catalogue, relationsPath: "relations",
      relation: try catalogue.relation(named: relation), located: located,
      method: .attribution(.riemann(steps: 5)), output: output, overwrite: overwrite, seed: 7, tool: "test",
      threads: ThreadCount(2), memory: 1 << 26)
  }

  func update(_ output: URL, to answer: String = "Corin", located: LocatedRelation? = nil, overwrite: Bool = false)
    throws -> FactUpdate
  {
    let request = try request(output, located: located, overwrite: overwrite)
    return FactUpdate(
      request: request, fact: request.relation.facts[0], newAnswer: answer, ownPrompts: [],
      method: .paper(lambda1: 1, lambda2: 8))
  }
}

extension RecordEvaluation {
  /// The figures of an update of one fact; nil for another edit.
  var update: Pair<UpdateEvaluation>? { if case .update(let pair) = judgement { pair } else { nil } }
  /// Those of an update of several facts.
  var batch: Pair<BatchEvaluation>? { if case .batch(let pair) = judgement { pair } else { nil } }
  /// Those of an erasure.
  var erasure: Pair<ErasureEvaluation>? { if case .erasure(let pair) = judgement { pair } else { nil } }
}
