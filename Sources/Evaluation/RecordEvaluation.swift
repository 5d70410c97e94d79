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
  /// Whether the relations are as the edit found them; nil where the record does not tell.
  ///
  /// Where they are not, other facts may be drawn from them.
  public let usedRecordedRelations: Bool?
  /// An edit's figures, and those of the same edit made on as many random neurons.
  public struct Pair<Evaluation: Sendable>: Sendable {
    /// The edit.
    public let edit: Evaluation
    /// The control; nil for facts edited one after another, and where it ends beyond all numbers.
    public let control: Evaluation?
  }

  /// The figures, by the kind of edit.
  public enum Judgement: Sendable {
    /// Of an update of one fact.
    case update(Pair<UpdateEvaluation>)
    /// Of an update of several facts.
    case batch(Pair<BatchEvaluation>)
    /// Of an erasure.
    case erasure(Pair<ErasureEvaluation>)
  }

  /// What it found.
  public let judgement: Judgement

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
    try record.source.requireFingerprint(of: source)
    if let result, let expected = record.result { try expected.requireFingerprint(of: result) }
    if let result, result.bert.configuration != source.bert.configuration {
      throw EditError.otherSizes(path: result.checkpoint.weightsFile.path)
    }
    // A record is a file, which anyone may have changed.
    let counts = 0...SlotOptimization.mostCounted
    guard record.method.optimization?.isSound ?? true,
      record.method.neighbourShares?.values.allSatisfy(counts.contains) ?? true
    else {
      throw EditError.incompleteRecord(field: "optimization that can be carried out")
    }
    try source.bert.configuration.requireNeurons(record.neurons)
    guard result != nil || record.method.isSequential != true else {
      throw EditError.needsCheckpoint(path: record.result?.model)
    }
    self.record = record
    usedWrittenCheckpoint = result != nil
    let relations = try catalogue.fingerprint()
    usedRecordedRelations = record.relationsFingerprint.map { $0 == relations }
    let judge = RecordJudge(record: record, source: source, result: result, catalogue: catalogue, threads: threads)
    judgement =
      switch record.kind {
      case .update where record.edits == nil: .update(try judge.update())
      case .update: .batch(try judge.batch())
      case .erase: .erasure(try judge.erasure())
      }
    // The fingerprints were of what lay there when this began.
    try source.checkpoint.requireUnchanged()
    try result?.checkpoint.requireUnchanged()
  }

  private enum CodingKeys: String, CodingKey {
    case schema, kind, relation, fact, newAnswer, method, neurons, seed, usedWrittenCheckpoint, usedRecordedRelations,
      control
  }

  /// The figures at the top level, the control's under `control`.
  public func encode(to encoder: any Encoder) throws {
    func encode<Evaluation: Encodable>(_ pair: Pair<Evaluation>) throws {
      try pair.edit.encode(to: encoder)
      var container = encoder.container(keyedBy: CodingKeys.self)
      try container.encodeIfPresent(pair.control, forKey: .control)
    }
    switch judgement {
    case .update(let pair): try encode(pair)
    case .batch(let pair): try encode(pair)
    case .erasure(let pair): try encode(pair)
    }
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
    try container.encodeIfPresent(usedRecordedRelations, forKey: .usedRecordedRelations)
  }
}

extension EditRecord.Source {
  /// Refuses a model whose weights file is not the one meant.
  ///
  /// - Throws: ``EditError/otherCheckpoint(path:expected:found:)``, and what reading the file throws.
  public func requireFingerprint(of model: MaskedLanguageModel) throws {
    let url = model.checkpoint.weightsFile
    let found = try fingerprint(of: url)
    guard found == sha256 else {
      throw EditError.otherCheckpoint(path: url.path, expected: sha256, found: found)
    }
  }
}

/// Judges a record of each kind.
private struct RecordJudge {
  let record: EditRecord
  let source: MaskedLanguageModel
  let result: MaskedLanguageModel?
  let catalogue: RelationCatalogue
  let threads: ThreadCount

  private var order: AnswerOrder { record.order ?? .leftToRight }

  func update() throws -> RecordEvaluation.Pair<UpdateEvaluation> {
    guard let fact = record.fact else { throw EditError.incompleteRecord(field: "fact") }
    guard let new = record.newAnswer else { throw EditError.incompleteRecord(field: "newAnswer") }
    guard let prompt = record.editedPrompt else { throw EditError.incompleteRecord(field: "editedPrompt") }
    guard !record.prompts.isEmpty else { throw EditError.incompleteRecord(field: "prompts") }
    let edit = FactEdit(fact: fact, newAnswer: new, prompts: record.prompts)
    let (method, questions, _) = try carrying([edit])
    return try judge(method) {
      try UpdateEvaluation(
        before: source, after: $0, edit: edit, editedPrompt: prompt, questions: questions, change: $1, order: order,
        threads: threads)
    }
  }

  func batch() throws -> RecordEvaluation.Pair<BatchEvaluation> {
    guard let edits = record.edits, !edits.isEmpty else { throw EditError.noEdits }
    guard record.method.name == .optimized else { throw EditError.incompleteRecord(field: "method for several facts") }
    let (method, questions, heldBack) = try carrying(edits)
    let held = try edits.map { edit in
      try catalogue.relation(named: edit.fact.relation).split(holdingBack: heldBack, in: source).heldBack
        .map { $0.prompt(subject: edit.fact.subject) }
    }
    let unasked = source.unasked(held, by: edits)
    return try judge(method) {
      try BatchEvaluation(
        before: source, after: $0, edits: edits, heldBack: unasked, questions: questions, change: $1, order: order,
        threads: threads)
    }
  }

  /// The method and the questions of an update, and the templates that it held back.
  private func carrying(
    _ edits: [FactEdit]
  ) throws -> (method: any EditingMethod, questions: EvaluationQuestions, heldBack: [Template]) {
    let heldBack = try heldBack()
    let questions = try EvaluationQuestions(
      updating: edits, heldBack: heldBack, in: catalogue, model: source, seed: record.seed)
    let method = try UpdateMethod(record.method).bound(
      to: edits, in: source, catalogue: catalogue, questions: questions, heldBack: heldBack, order: order,
      seed: record.seed, threads: threads)
    return (method, questions, heldBack)
  }

  private func heldBack() throws -> [Template] { try (record.heldBack ?? []).map { try Template($0) } }

  func erasure() throws -> RecordEvaluation.Pair<ErasureEvaluation> {
    let relation = try catalogue.relation(named: record.relation)
    guard let indices = record.factIndices else { throw EditError.incompleteRecord(field: "factIndices") }
    guard indices.allSatisfy(relation.facts.indices.contains) else { throw EditError.otherRelation(relation.name) }
    let facts = indices.map { relation.facts[$0] }
    let heldBack = try heldBack()
    let templates = relation.split(holdingBack: heldBack, in: source).used
    guard record.facts ?? facts == facts, templates.map(\.pattern) == record.prompts else {
      throw EditError.otherRelation(relation.name)
    }
    let keepsOthers = record.method.keepsOthers ?? false
    let questions = try EvaluationQuestions(
      erasing: relation, facts: facts, keepsOthers: keepsOthers, heldBack: heldBack, in: catalogue, model: source,
      seed: record.seed)
    let method = try ErasureMethod(record.method).bound(
      to: relation, facts: facts, keepsOthers: keepsOthers, neighbourShares: record.method.neighbourShares, in: source,
      catalogue: catalogue, questions: questions, heldBack: heldBack, order: order, seed: record.seed, threads: threads)
    return try judge(method) {
      try ErasureEvaluation(
        before: source, after: $0, questions: questions, change: $1, order: order, threads: threads)
    }
  }

  /// Refuses a record that does not name every slot that its checkpoint changes.
  private func requireChangeOfNeurons(from source: MaskedLanguageModel, to result: MaskedLanguageModel) throws {
    let (before, after) = (source.bert.weights, result.bert.weights)
    let named = Set(record.neurons)
    for layer in 0..<source.bert.configuration.layerCount {
      for index in 0..<source.bert.configuration.intermediateSize
      where !named.contains(Neuron(layer: layer, index: index)) {
        guard before.valueSlot(layer: layer, index: index) == after.valueSlot(layer: layer, index: index) else {
          throw EditError.otherNeurons(layer: layer, index: index)
        }
      }
    }
  }

  /// The edited model, made again where no result is at hand, and the same edit on as many random neurons.
  private func judge<Evaluation: EditFigures>(
    _ method: any EditingMethod, _ evaluate: (MaskedLanguageModel, ChangeSize) throws -> Evaluation
  ) throws -> RecordEvaluation.Pair<Evaluation> {
    let isSequential = record.method.isSequential == true
    func evaluation(_ model: MaskedLanguageModel, _ neurons: [Neuron]) throws -> Evaluation {
      try evaluate(model, ChangeSize(of: neurons, from: source, to: model))
    }
    if let result { try requireChangeOfNeurons(from: source, to: result) }
    func remade() throws -> MaskedLanguageModel {
      let slots = try method.valueSlots(of: record.neurons, in: source)
      guard slots.areNumbers else { throw EditError.beyondNumbers }
      return try source.replacing(source.checkpoint.stored(slots))
    }
    let figures = try evaluation(result ?? remade(), record.neurons)
    try figures.requireNumbers()
    if isSequential { return RecordEvaluation.Pair(edit: figures, control: nil) }
    var generator = SeededGenerator(seed: record.seed &+ 1)
    let configuration = source.bert.configuration
    let random = randomNeurons(
      record.neurons.count, in: configuration, layers: record.controlLayers(configuration.layerCount),
      using: &generator)
    // A control may diverge where the edit does not, and then there is nothing to compare with.
    let moved = try method.valueSlots(of: random, in: source)
    guard moved.areNumbers, let slots = try? source.checkpoint.stored(moved) else {
      return RecordEvaluation.Pair(edit: figures, control: nil)
    }
    let control = try evaluation(source.replacing(slots), random)
    return RecordEvaluation.Pair(edit: figures, control: control.noNumber == nil ? control : nil)
  }
}

extension EditRecord {
  /// The layers from which a control draws its random neurons: those that could be edited, or all for the paper's methods.
  ///
  /// Neurons that were given may lie anywhere; a control of theirs is drawn from their layers.
  func controlLayers(_ layerCount: Int) -> [Int] {
    guard let edited = method.optimization?.editedLayers(layerCount) else { return Array(0..<layerCount) }
    let own = Set(neurons.map(\.layer))
    return own.isSubset(of: edited) ? edited : own.sorted()
  }
}

extension EditRecord.Method {
  /// What steered an optimised edit; nil for the paper's methods.
  ///
  /// - Throws: ``EditError/incompleteRecord(field:)``.
  func optimizationIfOptimized() throws(EditError) -> SlotOptimization? {
    guard name == .optimized else { return nil }
    guard let optimization else { throw .incompleteRecord(field: "optimization") }
    return optimization
  }
}
