import BERT
import Checkpoint
import Editing
import Neurons
import Relations

/// Updating one fact from request to record.
public struct FactUpdate: Sendable {
  /// What it needs besides the fact.
  public let request: EditRequest
  /// The fact as the relation has it.
  public let fact: Fact
  /// The answer it shall have.
  public let newAnswer: String
  /// The user's own prompts, added to the relation's templates; the first is the edited prompt.
  public let ownPrompts: [Template]
  /// How the slots are computed.
  public let method: UpdateMethod
  /// The last templates of the relation, which the edit does not see and is judged on.
  public let heldBack: [Template]

  /// What an update would do, before anything is written.
  public struct Plan: EditPlan {
    /// The record but for the checkpoint that is yet to be written.
    public var record: EditRecord
    /// The figures.
    public let evaluation: UpdateEvaluation
    /// The arg-max on the edited prompt before the edit, where it was not the fact's answer.
    public let unexpectedAnswer: String?
    let slots: [ValueSlot]

    /// What of `limits` the update misses, in words; nil when it holds.
    public func shortfall(_ limits: EditLimits) -> String? {
      limits.shortfall(success: evaluation.paraphraseSuccessRate, evaluation.sideEffects)
    }
  }

  /// An update of `fact` to `newAnswer`.
  ///
  /// - Parameter heldBack: How many of the relation's last templates are held back; one is left to the edit at least, and those
  ///   that `ownPrompts` repeat are not held back.
  public init(
    request: EditRequest, fact: Fact, newAnswer: String, ownPrompts: [Template], method: UpdateMethod,
    heldBack: Int = 0
  ) {
    self.request = request
    self.fact = fact
    self.newAnswer = newAnswer
    self.ownPrompts = ownPrompts
    // Neurons that are given were located by what they do at [MASK].
    if request.located != nil, case .optimized(var optimization) = method {
      optimization.subjectLayers = .absent
      self.method = .optimized(optimization)
    } else {
      self.method = method
    }
    let model = request.model
    let own = model.wordings(ownPrompts.map { $0.prompt(subject: fact.subject) })
    self.heldBack = request.relation.lastTemplates(heldBack).filter {
      !own.contains(model.wording($0.prompt(subject: fact.subject)))
    }
  }

  /// The edit's prompts: the user's own, then one for each other template that is not held back.
  public var prompts: [String] {
    let model = request.model
    let own = ownPrompts.map { $0.prompt(subject: fact.subject) }
    let asked = model.wordings(own)
    return own
      + request.relation.split(holdingBack: heldBack, in: model).used.map { $0.prompt(subject: fact.subject) }
      .filter { !asked.contains(model.wording($0)) }
  }

  /// Locates, edits in memory and judges.
  ///
  /// - Throws: for an answer that the vocabulary cannot spell or that the model gives already, for an output that may
  ///   not be written and where no neuron is found.
  public func plan(progress: (Int) -> Void = { _ in }) throws -> Plan {
    let model = request.model
    try request.checkOutput()
    let edit = FactEdit(fact: fact, newAnswer: newAnswer, prompts: prompts)
    try model.requireChange(edit)
    try model.requireAskable(edit, heldBack: heldBack.map { $0.prompt(subject: fact.subject) }, order: request.order)
    let targets = try prompts.map { try model.factors($0, answer: newAnswer, order: request.order) }
    let said = model.outcomes(targets, threads: request.threads)
    guard !said.allSatisfy(\.isBest) else { throw EditError.alreadySays(newAnswer, prompts: prompts.count) }
    try model.requireWord(edit)
    var generator = SeededGenerator(seed: request.seed)
    let edited = ownPrompts.isEmpty ? Int.random(in: 0..<prompts.count, using: &generator) : 0
    let olds = try model.factors(prompts[edited], answer: fact.answer, order: request.order)
    let questions = try EvaluationQuestions(
      updating: edit, heldBack: heldBack, in: request.catalogue, model: model, seed: request.seed)
    let (located, neurons, found) = try choose(for: edit, judgedOn: questions, progress: progress)
    guard !neurons.isEmpty else { throw EditError.noNeurons(relation: fact.relation, subject: fact.subject) }
    let slots = try request.stored(found)
    let after = model.replacing(slots)
    let evaluation = try UpdateEvaluation(
      before: model, after: after, edit: edit, editedPrompt: prompts[edited], questions: questions,
      change: ChangeSize(of: neurons, from: model, to: after), order: request.order, threads: request.threads)
    var record = try request.record(
      .update, relation: fact.relation, method: method.recorded, located: located, neurons: neurons, prompts: prompts,
      figures: evaluation)
    (record.fact, record.newAnswer, record.editedPrompt) = (fact, newAnswer, prompts[edited])
    record.heldBack = heldBack.isEmpty ? nil : heldBack.map(\.pattern)
    let answered = model.outcomes([olds], threads: request.threads)[0].isBest
    return Plan(
      record: record, evaluation: evaluation, unexpectedAnswer: answered ? nil : evaluation.edited.bestBefore,
      slots: slots)
  }

  /// The neurons to edit, what was located for them, and their slots after the edit.
  private func choose(
    for edit: FactEdit, judgedOn questions: EvaluationQuestions, progress: (Int) -> Void
  ) throws -> (located: LocatedRelation, neurons: [Neuron], slots: [ValueSlot]) {
    let model = request.model
    switch method {
    case .paper:
      let editing = try method.bound(
        to: [edit], in: model, catalogue: request.catalogue, questions: questions, heldBack: heldBack,
        order: request.order, seed: request.seed, threads: request.threads)
      let located = try request.locate([(fact, prompts)], progress: progress)
      let neurons = located.unsharedNeurons(of: try located.fact(fact))
      return (located, neurons, try editing.valueSlots(of: neurons, in: model))
    case .optimized(let optimization):
      try optimization.requireLayers(model.bert.configuration.layerCount)
      let update = try UpdateMethod.optimized(
        optimization, [edit], in: model, catalogue: request.catalogue, questions: questions, heldBack: heldBack,
        order: request.order, seed: request.seed, threads: request.threads)
      let traced = update.traced(in: model, from: try NeuronSelection.lowestLayer(request, optimization))
      let selection = try NeuronSelection(request, optimization, traced)
      let chosen = try selection.choose(for: [edit], of: fact.relation, at: update.positions, progress: progress)
      return (chosen.located, chosen.neurons[0], update.valueSlots(of: chosen.neurons[0], traced: traced))
    }
  }

  /// Writes a plan's checkpoint and record, and returns the record.
  ///
  /// - Throws: `EditError` and `CheckpointError` for an output that may not or cannot be written; nothing is left there then.
  public func write(_ plan: Plan) throws -> EditRecord { try request.write(plan.slots, plan.record) }

  /// Plans and writes, whatever the figures; returns the plan with the record as written.
  public func carryOut(progress: (Int) -> Void = { _ in }) throws -> Plan {
    var plan = try plan(progress: progress)
    plan.record = try write(plan)
    return plan
  }
}

extension MaskedLanguageModel {
  /// Refuses an edit that could not be judged once it is made: a prompt, held back or not, that the model cannot take with the
  /// old or the new answer.
  func requireAskable(_ edit: FactEdit, heldBack: [String], order: AnswerOrder) throws {
    for prompt in edit.prompts + heldBack {
      for answer in [edit.newAnswer, edit.fact.answer] { _ = try factors(prompt, answer: answer, order: order) }
    }
  }

  /// Refuses an edit whose new answer is one of the special pieces, which no text says.
  func requireWord(_ edit: FactEdit) throws {
    let vocabulary = tokenizer.vocabulary
    let special = [vocabulary.pad, vocabulary.unknown, vocabulary.cls, vocabulary.sep, vocabulary.mask]
    guard try !pieces(of: edit.newAnswer).contains(where: special.contains) else {
      throw EditError.specialAnswer(edit.newAnswer)
    }
  }

  /// Refuses an edit of a subject that the vocabulary cannot spell, and one whose new answer is the old one in other writing:
  /// the same word pieces.
  func requireChange(_ edit: FactEdit) throws {
    try requireSpelled(subject: edit.fact.subject)
    guard try pieces(of: edit.newAnswer) != (try? pieces(of: edit.fact.answer)) else {
      throw EditError.sameAnswer(edit.newAnswer, subject: edit.fact.subject, relation: edit.fact.relation)
    }
  }
}
