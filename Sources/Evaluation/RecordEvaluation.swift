import BERT
import Checkpoint
import Editing
import Foundation
import Kernels
import Neurons
import Relations

/// An edit judged from its record, with the random-neuron control beside it.
public struct RecordEvaluation: Sendable, Encodable {
  /// Version of this document's form.
  public let schema = 1
  /// The record.
  public let record: EditRecord
  /// Whether the written checkpoint was judged; otherwise the edit was made again in memory.
  public let usedWrittenCheckpoint: Bool
  /// Figures of an update.
  public let update: UpdateEvaluation?
  /// Figures of the same update made on as many random neurons.
  public let updateControl: UpdateEvaluation?
  /// Figures of an erasure.
  public let erasure: ErasureEvaluation?
  /// Figures of the same erasure made on as many random neurons.
  public let erasureControl: ErasureEvaluation?

  /// Judges an edit again.
  ///
  /// - Parameters:
  ///   - record: The record.
  ///   - source: The source model; its fingerprint must be the record's.
  ///   - result: The written checkpoint, whose fingerprint must be the record's; nil to make the edit again in memory.
  ///   - catalogue: The relations.
  public init(
    _ record: EditRecord, source: MaskedLanguageModel, result: MaskedLanguageModel?, catalogue: RelationCatalogue,
    threads: ThreadCount = .allCores
  ) throws {
    try Self.requireFingerprint(record.source, source)
    if let result { try Self.requireFingerprint(record.result, result) }
    self.record = record
    usedWrittenCheckpoint = result != nil
    switch record.kind {
    case .update:
      guard let fact = record.fact else { throw EditError.incompleteRecord(field: "fact") }
      guard let new = record.newAnswer else { throw EditError.incompleteRecord(field: "newAnswer") }
      guard let prompt = record.editedPrompt else { throw EditError.incompleteRecord(field: "editedPrompt") }
      let questions = try EvaluationQuestions(updating: fact, in: catalogue, model: source, seed: record.seed)
      let method = try UpdateMethod(record.method).bound(
        to: fact, newAnswer: new, prompts: record.prompts, in: source, catalogue: catalogue, questions: questions,
        seed: record.seed, threads: threads)
      func judge(_ model: MaskedLanguageModel) throws -> UpdateEvaluation {
        try UpdateEvaluation(
          before: source, after: model, editedPrompt: prompt, prompts: record.prompts, old: fact.answer, new: new,
          intra: questions.intra, inter: questions.inter, threads: threads)
      }
      let models = try Self.models(record, source, result, method)
      (update, updateControl) = (try judge(models.edited), try judge(models.control))
      (erasure, erasureControl) = (nil, nil)
    case .erase:
      guard let fill = record.method.fill else { throw EditError.incompleteRecord(field: "fill") }
      let relation = try catalogue.relation(named: record.relation)
      guard let indices = record.factIndices, indices.allSatisfy(relation.facts.indices.contains) else {
        throw EditError.incompleteRecord(field: "factIndices that fit the relation")
      }
      let questions = try EvaluationQuestions(
        erasing: relation, facts: indices.map { relation.facts[$0] }, in: catalogue, model: source, seed: record.seed)
      func judge(_ model: MaskedLanguageModel) throws -> ErasureEvaluation {
        try ErasureEvaluation(
          before: source, after: model, intra: questions.intra, inter: questions.inter, threads: threads)
      }
      let models = try Self.models(record, source, result, PaperErasure(fill: fill))
      (erasure, erasureControl) = (try judge(models.edited), try judge(models.control))
      (update, updateControl) = (nil, nil)
    }
  }

  /// The edited model, made again where no result is at hand, and the same edit on as many random neurons.
  private static func models(
    _ record: EditRecord, _ source: MaskedLanguageModel, _ result: MaskedLanguageModel?, _ method: any EditingMethod
  ) throws -> (edited: MaskedLanguageModel, control: MaskedLanguageModel) {
    var generator = SeededGenerator(seed: record.seed &+ 1)
    let random = randomNeurons(record.neurons.count, in: source.bert.configuration, using: &generator)
    return (
      try result ?? source.replacing(method.valueSlots(of: record.neurons, in: source)),
      source.replacing(try method.valueSlots(of: random, in: source))
    )
  }

  private static func requireFingerprint(_ expected: EditRecord.Source, _ model: MaskedLanguageModel) throws {
    let url = model.checkpoint.weightsFile
    let found = try fingerprint(of: url)
    guard found == expected.sha256 else {
      throw EditError.otherCheckpoint(path: url.path, expected: expected.sha256, found: found)
    }
  }

  private enum CodingKeys: String, CodingKey {
    case schema, kind, relation, fact, newAnswer, method, neurons, seed, usedWrittenCheckpoint, control
  }

  /// The figures at the top level, the control's under `control`.
  public func encode(to encoder: any Encoder) throws {
    try update?.encode(to: encoder)
    try erasure?.encode(to: encoder)
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(schema, forKey: .schema)
    try container.encode(record.kind, forKey: .kind)
    try container.encode(record.relation, forKey: .relation)
    try container.encodeIfPresent(record.fact, forKey: .fact)
    try container.encodeIfPresent(record.newAnswer, forKey: .newAnswer)
    try container.encode(record.method, forKey: .method)
    try container.encode(record.neurons, forKey: .neurons)
    try container.encode(record.seed, forKey: .seed)
    try container.encode(usedWrittenCheckpoint, forKey: .usedWrittenCheckpoint)
    try container.encodeIfPresent(updateControl, forKey: .control)
    if let erasureControl { try container.encode(erasureControl, forKey: .control) }
  }
}
