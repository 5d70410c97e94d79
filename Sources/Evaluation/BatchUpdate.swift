import BERT
import Checkpoint
import Editing
import Kernels
import Neurons
import Relations

/// Updating several facts, of one or more relations, from request to record.
///
/// Always by optimised value slots: in one optimisation over the union of the facts' slots, or one after another, each on
/// the model that the one before has left.
public struct BatchUpdate: Sendable {
  /// What it needs besides the facts; its relation is that of the first.
  public let request: EditRequest
  /// The facts with their new answers and the prompts of the edit.
  public let edits: [FactEdit]
  /// Per edit, the prompts that the edit does not see.
  public let heldBackPrompts: [[String]]
  /// What steers the optimisation.
  public let optimization: SlotOptimization
  /// Whether the facts are edited one after another.
  public let isSequential: Bool

  private let heldBack: [Template]

  /// What an update of several facts would do, before anything is written.
  public struct Plan: EditPlan {
    /// The record but for the checkpoint that is yet to be written.
    public var record: EditRecord
    /// The figures.
    public let evaluation: BatchEvaluation
    let slots: [ValueSlot]

    /// What of `limits` the update misses, in words; nil when it holds.
    public func shortfall(_ limits: EditLimits) -> String? {
      limits.shortfall(success: evaluation.successRate, evaluation.sideEffects)
    }
  }

  /// An update of several facts.
  ///
  /// - Parameters:
  ///   - changes: Facts and the answers they shall have.
  ///   - heldBack: How many of each relation's last templates are held back; one is left to the edit at least.
  /// - Throws: `RelationError` for a relation that the catalogue lacks; `EditError` where there is no change, or two
  ///   contradict each other.
  public init(
    request: EditRequest, changes: [(fact: Fact, newAnswer: String)], optimization: SlotOptimization, heldBack: Int,
    isSequential: Bool
  ) throws {
    guard !changes.isEmpty else { throw EditError.noEdits }
    let names = Set(changes.map(\.fact.relation)).sorted()
    let relations = try names.map { ($0, try request.catalogue.relation(named: $0)) }
    // Held back of all: relations may share wordings.
    let held = Set(relations.flatMap { $0.1.lastTemplates(heldBack) }).sorted { $0.pattern < $1.pattern }
    let splits = Dictionary(
      uniqueKeysWithValues: relations.map { ($0, $1.split(holdingBack: held, in: request.model)) })
    var edits: [FactEdit] = []
    var prompts: [[String]] = []
    var topics: Set<Topic> = []
    for (fact, newAnswer) in changes {
      guard topics.insert(fact.topic).inserted else {
        throw EditError.givenTwice(subject: fact.subject, relation: fact.relation)
      }
      guard let split = splits[fact.relation] else { continue }
      edits.append(
        FactEdit(
          fact: fact, newAnswer: newAnswer, prompts: split.used.map { $0.prompt(subject: fact.subject) }))
      prompts.append(split.heldBack.map { $0.prompt(subject: fact.subject) })
    }
    var answers: [Wording: String] = [:]
    for edit in edits {
      for prompt in edit.prompts
      where answers.updateValue(edit.newAnswer, forKey: request.model.wording(prompt)) ?? edit.newAnswer
        != edit.newAnswer
      {
        throw EditError.contradictory(prompt: prompt)
      }
    }
    self.request = request
    self.edits = edits
    heldBackPrompts = request.model.unasked(prompts, by: edits)
    self.heldBack = held
    self.optimization = optimization
    self.isSequential = isSequential
  }

  /// Prompts to locate neurons on.
  public var promptCount: Int { edits.reduce(0) { $0 + $1.prompts.count } }

  /// Locates, edits in memory and judges.
  ///
  /// - Throws: for an answer that the vocabulary cannot spell or that the fact has already, for an output that may not be
  ///   written, and where no neuron is found.
  public func plan(progress: (Int) -> Void = { _ in }) throws -> Plan {
    let model = request.model
    try request.checkOutput()
    for (edit, heldBack) in zip(edits, heldBackPrompts) {
      try model.requireChange(edit)
      try model.requireWord(edit)
      try model.requireAskable(edit, heldBack: heldBack, order: request.order)
    }
    try optimization.requireLayers(model.bert.configuration.layerCount)
    let questions = try EvaluationQuestions(
      updating: edits, heldBack: heldBack, in: request.catalogue, model: model, seed: request.seed)
    let outcome =
      isSequential
      ? try oneAfterAnother(questions, progress: progress)
      : try together(edits, model, questions, seed: request.seed, progress: progress)
    let slots = try request.stored(outcome.slots)
    let neurons = slots.map { Neuron(layer: $0.layer, index: $0.index) }
    let after = model.replacing(slots)
    let evaluation = try BatchEvaluation(
      before: model, after: after, edits: edits, heldBack: heldBackPrompts, questions: questions,
      change: ChangeSize(of: neurons, from: model, to: after), order: request.order, threads: request.threads)
    var record = try request.record(
      .update, relation: Set(edits.map(\.fact.relation)).sorted().joined(separator: ", "),
      method: EditRecord.Method(name: .optimized, optimization: optimization, isSequential: isSequential),
      located: outcome.located, neurons: neurons, prompts: [], figures: evaluation)
    record.edits = edits
    record.heldBack = heldBack.isEmpty ? nil : heldBack.map(\.pattern)
    return Plan(record: record, evaluation: evaluation, slots: slots)
  }

  /// Writes a plan's checkpoint and record, and returns the record.
  ///
  /// - Throws: `EditError` and `CheckpointError` for an output that may not or cannot be written; nothing is left there then.
  public func write(_ plan: Plan) throws -> EditRecord { try request.write(plan.slots, plan.record) }

  private func together(
    _ edits: [FactEdit], after earlier: [FactEdit] = [], _ model: MaskedLanguageModel,
    _ questions: EvaluationQuestions, seed: UInt64, progress: (Int) -> Void
  ) throws -> (slots: [ValueSlot], located: LocatedRelation) {
    let update = try UpdateMethod.optimized(
      optimization, edits, after: earlier, in: model, catalogue: request.catalogue, questions: questions,
      heldBack: heldBack, order: request.order, seed: seed, threads: request.threads)
    let request = request.on(model)
    let traced = update.traced(in: model, from: try NeuronSelection.lowestLayer(request, update.optimization))
    let selection = try NeuronSelection(request, update.optimization, traced)
    let places = update.positions
    var chosen: Set<Neuron> = []
    var located: LocatedRelation?
    var done = 0
    for (relation, positions) in Dictionary(grouping: edits.indices, by: { edits[$0].fact.relation }).sorted(by: {
      $0.key < $1.key
    }) {
      let own = positions.map { edits[$0] }
      let found = try selection.choose(for: own, of: relation, at: positions.map { places[$0] }) { progress(done + $0) }
      done += own.reduce(0) { $0 + $1.prompts.count }
      located = located.map { $0.joined(found.located) } ?? found.located
      for neurons in found.neurons { chosen.formUnion(neurons) }
    }
    guard let located, !chosen.isEmpty else {
      throw EditError.noNeurons(relation: edits[0].fact.relation, subject: nil)
    }
    return (update.valueSlots(of: chosen.sorted(), traced: traced), located)
  }

  private func oneAfterAnother(
    _ questions: EvaluationQuestions, progress: (Int) -> Void
  ) throws -> (slots: [ValueSlot], located: LocatedRelation) {
    var model = request.model
    var slots: [Neuron: ValueSlot] = [:]
    var located: LocatedRelation?
    var done = 0
    for (number, edit) in edits.enumerated() {
      // Other neighbours each time: what one edit disturbs unseen, the next ones do not disturb again.
      let step = try together(
        [edit], after: Array(edits[..<number]), model, questions, seed: request.seed &+ UInt64(number)
      ) { progress(done + $0) }
      done += edit.prompts.count
      let stored = try request.stored(step.slots)
      model = model.replacing(stored)
      for slot in stored { slots[Neuron(layer: slot.layer, index: slot.index)] = slot }
      located = located.map { $0.joined(step.located) } ?? step.located
    }
    guard let located else { throw EditError.noEdits }
    return (slots.sorted { $0.key < $1.key }.map(\.value), located)
  }
}

extension EditRequest {
  /// The same request on another state of the model.
  fileprivate func on(_ model: MaskedLanguageModel) -> EditRequest {
    var result = self
    (result.model, result.located) = (model, nil)
    return result
  }
}

extension LocatedRelation {
  /// The facts of both; settings and statistics are this one's.
  fileprivate func joined(_ other: LocatedRelation) -> LocatedRelation {
    var result = self
    result.facts += other.facts
    return result
  }
}
