import BERT
import Checkpoint
import Editing
import Neurons
import Relations

/// Erasing a relation from request to record.
public struct RelationErasure: Sendable {
  /// What it needs besides the facts.
  public let request: EditRequest
  /// The facts to locate and to judge by.
  public let facts: [Fact]
  /// Whether the relation's other facts shall stay, as those of other relations do.
  public let keepsOthers: Bool
  /// How the slots are chosen and computed.
  public let method: ErasureMethod
  /// The relation's templates that the erasure does not see.
  public let heldBack: [Template]

  /// What an erasure would do, before anything is written.
  public struct Plan: EditPlan {
    /// The record but for the checkpoint that is yet to be written.
    public var record: EditRecord
    /// The figures.
    public let evaluation: ErasureEvaluation
    let slots: [ValueSlot]

    /// What of `limits` the erasure misses, in words; nil when it holds.
    public func shortfall(_ limits: EditLimits) -> String? { limits.shortfall(evaluation) }
  }

  /// An erasure of the request's relation, or with `keepsOthers` of these facts of it.
  ///
  /// - Parameter heldBack: How many of the relation's last templates are held back; one is left to the erasure at least.
  public init(
    request: EditRequest, facts: [Fact], keepsOthers: Bool = false, method: ErasureMethod, heldBack: Int = 0
  ) {
    self.request = request
    self.facts = facts
    self.keepsOthers = keepsOthers
    self.method = method.withoutSubject
    self.heldBack = request.relation.lastTemplates(heldBack)
  }

  /// The templates that it sees.
  public var templates: [Template] { request.relation.split(holdingBack: heldBack, in: request.model).used }

  /// Facts on which an optimised erasure locates its neurons, at most.
  public static let locatedFacts = 40

  /// The facts that neurons are located on: all, or for an optimised erasure a sample.
  public var locating: [Fact] {
    guard case .optimized = method else { return facts }
    var generator = SeededGenerator(seed: request.seed &+ 3)
    return Array(facts.shuffled(using: &generator).prefix(Self.locatedFacts))
  }

  /// Locates, edits in memory and judges.
  ///
  /// - Parameters:
  ///   - progress: Is told how many prompts have been located.
  ///   - steps: Is told how many steps of an optimised erasure are done, and of how many.
  /// - Throws: for an output that may not be written and where no neuron is found.
  public func plan(
    progress: (Int) -> Void = { _ in }, steps: (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) throws -> Plan {
    let (model, relation) = (request.model, request.relation)
    try request.checkOutput()
    // In the relation's order, in which the record's indices will name them.
    let judged = relation.facts.filter(Set(facts).contains)
    guard !judged.isEmpty else { throw EditError.noNeurons(relation: relation.name, subject: nil) }
    let questions = try EvaluationQuestions(
      erasing: relation, facts: judged, keepsOthers: keepsOthers, heldBack: heldBack, in: request.catalogue,
      model: model, seed: request.seed)
    let located: LocatedRelation
    let neurons: [Neuron]
    let found: [ValueSlot]
    var shares: [String: Int]?
    switch method {
    case .paper(let top, let fill):
      located = try request.locate(facts.map(asked), progress: progress)
      neurons = located.mostFrequentNeurons(top).map(\.neuron)
      found = PaperErasure(fill: fill).valueSlots(of: neurons, in: model)
    case .optimized(let optimization):
      try optimization.requireLayers(model.bert.configuration.layerCount)
      let candidates: [Neuron]
      (located, candidates) = try self.candidates(optimization, progress: progress)
      let erasure = try ErasureMethod.optimized(
        optimization, relation, judged, keepsOthers: keepsOthers, in: model, catalogue: request.catalogue,
        questions: questions, heldBack: heldBack, order: request.order, seed: request.seed, threads: request.threads)
      let lowest = try NeuronSelection.lowestLayer(request, optimization)
      let choice = try erasure.choose(in: model, from: lowest, progress: steps) { traced, targets in
        try NeuronSelection(request, optimization, traced).choose(among: candidates, for: targets)
      }
      (neurons, found, shares) = (choice.neurons, choice.slots, choice.neighbourShares)
    }
    guard !neurons.isEmpty else { throw EditError.noNeurons(relation: relation.name, subject: nil) }
    let slots = try request.stored(found)
    let after = model.replacing(slots)
    let evaluation = try ErasureEvaluation(
      before: model, after: after, questions: questions, change: ChangeSize(of: neurons, from: model, to: after),
      order: request.order, threads: request.threads)
    let erased = Set(judged)
    var record = try request.record(
      .erase, relation: relation.name, method: method.recorded(neighbourShares: shares, keepsOthers: keepsOthers),
      located: located,
      neurons: neurons, prompts: templates.map(\.pattern), figures: evaluation)
    record.factIndices = relation.facts.indices.filter { erased.contains(relation.facts[$0]) }
    record.facts = judged
    record.heldBack = heldBack.isEmpty ? nil : heldBack.map(\.pattern)
    return Plan(record: record, evaluation: evaluation, slots: slots)
  }

  /// A fact with what is asked about it.
  private func asked(_ fact: Fact) -> (fact: Fact, prompts: [String]) {
    (fact, templates.map { $0.prompt(subject: fact.subject) })
  }

  /// The neurons that an optimised erasure may choose from: those given, or what attribution on a sample of the facts leaves.
  private func candidates(
    _ optimization: SlotOptimization, progress: (Int) -> Void
  ) throws -> (LocatedRelation, [Neuron]) {
    if let given = try request.givenNeurons() { return (given, Set(given.facts.flatMap(\.refinedSet)).sorted()) }
    let ranking = CandidateRanking(optimization)
    let located = try request.model.locate(
      locating.map(asked), relation: request.relation.name, method: request.method, order: request.order,
      threads: request.threads, memory: request.memory, scores: { ranking.add($1) }, progress: progress)
    return (located, ranking.candidates)
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
