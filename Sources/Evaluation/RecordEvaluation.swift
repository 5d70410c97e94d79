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
  /// An edit's figures, and those of the same edit made on as many random neurons.
  public struct Pair<Evaluation: Sendable>: Sendable {
    /// The edit.
    public let edit: Evaluation
    /// The control; nil for facts edited one after another.
    public let control: Evaluation?
  }

  /// Figures of an update of one fact.
  public let update: Pair<UpdateEvaluation>?
  /// Figures of an update of several facts.
  public let batch: Pair<BatchEvaluation>?
  /// Figures of an erasure.
  public let erasure: Pair<ErasureEvaluation>?

  /// Judges an edit again.
  ///
  /// - Parameters:
  ///   - record: The record.
  ///   - source: The source model; its fingerprint must be the record's.
  ///   - result: The written checkpoint, whose fingerprint must be the record's; nil to make the edit again in memory.
  ///   - catalogue: The relations.
  /// - Throws: ``EditError`` for a record that does not fit; facts edited one after another need their result.
  public init(
    _ record: EditRecord, source: MaskedLanguageModel, result: MaskedLanguageModel?, catalogue: RelationCatalogue,
    threads: ThreadCount = .allCores
  ) throws {
    try Self.requireFingerprint(record.source, source)
    if let result, let expected = record.result { try Self.requireFingerprint(expected, result) }
    // A record is a file, which anyone may have changed.
    guard record.method.optimization?.isSound ?? true else {
      throw EditError.incompleteRecord(field: "optimization that can be carried out")
    }
    try source.bert.configuration.requireNeurons(record.neurons)
    self.record = record
    usedWrittenCheckpoint = result != nil
    let order = record.order ?? .leftToRight
    let heldBack = try (record.heldBack ?? []).map { try Template($0) }
    var update: Pair<UpdateEvaluation>?
    var batch: Pair<BatchEvaluation>?
    var erasure: Pair<ErasureEvaluation>?
    /// The edited model, made again where no result is at hand, and the same edit on as many random neurons.
    func judge<Evaluation>(
      _ method: any EditingMethod, layers: [Int],
      _ evaluate: (MaskedLanguageModel, ChangeSize) throws -> Evaluation
    ) throws -> Pair<Evaluation> {
      var generator = SeededGenerator(seed: record.seed &+ 1)
      let random = randomNeurons(
        record.neurons.count, in: source.bert.configuration, layers: layers, using: &generator)
      func evaluation(_ model: MaskedLanguageModel, _ neurons: [Neuron]) throws -> Evaluation {
        try evaluate(model, ChangeSize(of: neurons, from: source, to: model))
      }
      if result == nil, record.method.isSequential == true { throw EditError.incompleteRecord(field: "checkpoint") }
      let edited = try result ?? source.replacing(method.valueSlots(of: record.neurons, in: source))
      return Pair(
        edit: try evaluation(edited, record.neurons),
        control: record.method.isSequential == true
          ? nil : try evaluation(source.replacing(method.valueSlots(of: random, in: source)), random))
    }
    let layers = record.method.controlLayers(source.bert.configuration.layerCount)
    switch record.kind {
    case .update:
      let method = try UpdateMethod(record.method)
      let edits: [FactEdit]
      if let several = record.edits {
        guard !several.isEmpty else { throw EditError.noEdits }
        edits = several
      } else {
        guard let fact = record.fact else { throw EditError.incompleteRecord(field: "fact") }
        guard let new = record.newAnswer else { throw EditError.incompleteRecord(field: "newAnswer") }
        edits = [FactEdit(fact: fact, newAnswer: new, prompts: record.prompts)]
      }
      let questions = try EvaluationQuestions(
        updating: edits, heldBack: heldBack, in: catalogue, model: source, seed: record.seed)
      let editing = try method.bound(
        to: edits, in: source, catalogue: catalogue, questions: questions, heldBack: heldBack, order: order,
        seed: record.seed, threads: threads)
      if record.edits != nil {
        let held = try edits.map { edit in
          try catalogue.relation(named: edit.fact.relation).templates.filter(heldBack.contains).map {
            $0.prompt(subject: edit.fact.subject)
          }
        }
        batch = try judge(editing, layers: layers) {
          try BatchEvaluation(
            before: source, after: $0, edits: edits, heldBack: held, questions: questions, change: $1, order: order,
            threads: threads)
        }
      } else {
        guard let prompt = record.editedPrompt else { throw EditError.incompleteRecord(field: "editedPrompt") }
        update = try judge(editing, layers: layers) {
          try UpdateEvaluation(
            before: source, after: $0, edit: edits[0], editedPrompt: prompt, questions: questions, change: $1,
            order: order, threads: threads)
        }
      }
    case .erase:
      let method = try ErasureMethod(record.method)
      let relation = try catalogue.relation(named: record.relation)
      guard let indices = record.factIndices, indices.allSatisfy(relation.facts.indices.contains) else {
        throw EditError.incompleteRecord(field: "factIndices that fit the relation")
      }
      let facts = indices.map { relation.facts[$0] }
      let questions = try EvaluationQuestions(
        erasing: relation, facts: facts, in: catalogue, model: source, seed: record.seed)
      let editing = try method.bound(
        to: relation, facts: facts, in: source, catalogue: catalogue, questions: questions, order: order,
        seed: record.seed, threads: threads)
      erasure = try judge(editing, layers: layers) {
        try ErasureEvaluation(
          before: source, after: $0, questions: questions, change: $1, order: order, threads: threads)
      }
    }
    (self.update, self.batch, self.erasure) = (update, batch, erasure)
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
    try update?.edit.encode(to: encoder)
    try batch?.edit.encode(to: encoder)
    try erasure?.edit.encode(to: encoder)
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
    try container.encodeIfPresent(update?.control, forKey: .control)
    if let control = batch?.control { try container.encode(control, forKey: .control) }
    if let control = erasure?.control { try container.encode(control, forKey: .control) }
  }
}

extension EditRecord.Method {
  /// What steered an optimised edit; nil for the paper's methods.
  ///
  /// - Throws: ``EditError/incompleteRecord(field:)``.
  func optimizationIfOptimized() throws(EditError) -> SlotOptimization? {
    guard name == "optimized" else { return nil }
    guard let optimization else { throw .incompleteRecord(field: "optimization") }
    return optimization
  }

  /// The layers from which a control draws its random neurons: the edited ones, or all for the paper's methods.
  fileprivate func controlLayers(_ layerCount: Int) -> [Int] {
    optimization?.editedLayers(layerCount) ?? Array(0..<layerCount)
  }
}
