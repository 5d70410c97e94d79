import BERT
import Checkpoint
import Editing
import Kernels
import Neurons
import Relations

/// How an erasure computes its value slots, before it is bound to a model and facts.
public enum ErasureMethod: Sendable, Hashable {
  /// The paper's: the `top` neurons in most refined sets, their slots filled.
  case paper(top: Int, fill: PaperErasure.Fill)
  /// Optimised slots.
  case optimized(SlotOptimization)

  /// As the record keeps it.
  var recorded: EditRecord.Method {
    switch self {
    case .paper(let top, let fill): EditRecord.Method(name: "paper", top: top, fill: fill)
    case .optimized(let parameters): EditRecord.Method(name: "optimized", optimization: parameters)
    }
  }

  /// The method of a record.
  ///
  /// - Throws: ``EditError/incompleteRecord(field:)``.
  init(_ method: EditRecord.Method) throws(EditError) {
    if method.name == "optimized" {
      guard let parameters = method.optimization else { throw .incompleteRecord(field: "optimization") }
      self = .optimized(parameters)
    } else {
      guard let fill = method.fill else { throw .incompleteRecord(field: "fill") }
      self = .paper(top: method.top ?? 20, fill: fill)
    }
  }

  /// The layers from which a control draws its random neurons.
  func controlLayers(_ layerCount: Int) -> [Int] {
    switch self {
    case .paper: Array(0..<layerCount)
    case .optimized(let parameters): parameters.editedLayers(layerCount)
    }
  }

  /// The method for these facts of a relation.
  func bound(
    to relation: Relation, facts: [Fact], in model: MaskedLanguageModel, catalogue: RelationCatalogue,
    questions: EvaluationQuestions, order: AnswerOrder, seed: UInt64, threads: ThreadCount
  ) throws -> any EditingMethod {
    switch self {
    case .paper(_, let fill): return PaperErasure(fill: fill)
    case .optimized(let parameters):
      return try Self.optimized(
        parameters, relation, facts, in: model, catalogue: catalogue, questions: questions, order: order, seed: seed,
        threads: threads)
    }
  }

  /// Prompts of the relation that an optimised erasure is made from, at most.
  static let promptCount = 600

  static func optimized(
    _ parameters: SlotOptimization, _ relation: Relation, _ facts: [Fact], in model: MaskedLanguageModel,
    catalogue: RelationCatalogue, questions: EvaluationQuestions, order: AnswerOrder, seed: UInt64,
    threads: ThreadCount
  ) throws -> OptimizedErasure {
    var generator = SeededGenerator(seed: seed &+ 2)
    let prompts = facts.flatMap { fact in relation.prompts(for: fact).map { (prompt: $0, answer: fact.answer) } }
    // An answer of several pieces is forgotten with its first.
    let targets = try prompts.shuffled(using: &generator).prefix(Self.promptCount).map {
      try model.factors($0.prompt, answer: $0.answer, order: order)[0]
    }
    let neighbours = Neighbours(
      catalogue: catalogue, excluded: questions.facts, subjects: [], heldBack: [])
    return OptimizedErasure(
      targets: Array(targets), answerCount: Set(facts.map(\.answer)).count,
      neighbours: try neighbours.draw(
        of: [relation.name], same: 0, others: parameters.otherRelations, in: model, using: &generator),
      optimization: parameters, threads: threads)
  }
}

/// Erasing a relation from request to record.
public struct RelationErasure: Sendable {
  /// What it needs besides the facts.
  public let request: EditRequest
  /// The facts to locate and to judge by.
  public let facts: [Fact]
  /// How the slots are chosen and computed.
  public let method: ErasureMethod

  /// What an erasure would do, before anything is written.
  public struct Plan: Sendable {
    /// The record but for the checkpoint that is yet to be written.
    public internal(set) var record: EditRecord
    /// The figures.
    public let evaluation: ErasureEvaluation
    let slots: [ValueSlot]
  }

  /// An erasure of the request's relation.
  public init(request: EditRequest, facts: [Fact], method: ErasureMethod) {
    self.request = request
    self.facts = facts
    self.method = method
  }

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
  /// - Throws: for an output that may not be written and where no neuron is found.
  public func plan(progress: (Int) -> Void = { _ in }) throws -> Plan {
    let (model, relation) = (request.model, request.relation)
    try request.checkOutput()
    guard !facts.isEmpty else { throw EditError.noNeurons(relation: relation.name, subject: nil) }
    let judged: [Fact]
    let located: LocatedRelation
    var neurons: [Neuron]
    var candidates: [Neuron] = []
    switch method {
    case .paper(let top, _):
      located = try request.locate(facts.map { ($0, relation.prompts(for: $0)) }, progress: progress)
      neurons = located.mostFrequentNeurons(top).map(\.neuron)
      let names = Set(located.facts.map { Fact(relation: relation.name, subject: $0.subject, answer: $0.answer) })
      judged = relation.facts.filter(names.contains)
    case .optimized(let optimization):
      // In the relation's order, in which the record's indices will name them.
      judged = relation.facts.filter(Set(facts).contains)
      neurons = []
      if request.located != nil {
        located = try request.locate([], progress: progress)
        candidates = Set(located.facts.flatMap(\.refinedSet)).sorted()
      } else {
        let ranking = CandidateRanking(optimization)
        located = try request.model.locate(
          locating.map { ($0, relation.prompts(for: $0)) }, relation: relation.name, method: request.method,
          order: request.order, threads: request.threads, memory: request.memory, scores: { ranking.add($1) },
          progress: progress)
        candidates = ranking.candidates
      }
    }
    let questions = try EvaluationQuestions(
      erasing: relation, facts: judged, in: request.catalogue, model: model, seed: request.seed)
    let slots: [ValueSlot]
    switch method {
    case .paper(_, let fill):
      slots = PaperErasure(fill: fill).valueSlots(of: neurons, in: model)
    case .optimized(let optimization):
      let erasure = try ErasureMethod.optimized(
        optimization, relation, judged, in: model, catalogue: request.catalogue, questions: questions,
        order: request.order, seed: request.seed, threads: request.threads)
      let traced = erasure.traced(in: model, from: try NeuronSelection.lowestLayer(request, optimization))
      neurons = try NeuronSelection(request, optimization, traced).choose(
        among: candidates, for: erasure.targets.indices)
      slots = erasure.valueSlots(of: neurons, traced: traced)
    }
    guard !neurons.isEmpty, !judged.isEmpty else { throw EditError.noNeurons(relation: relation.name, subject: nil) }
    let after = model.replacing(slots)
    let evaluation = try ErasureEvaluation(
      before: model, after: after, questions: questions, change: ChangeSize(of: neurons, from: model, to: after),
      order: request.order, threads: request.threads)
    let asked = Set(judged)
    let record = EditRecord(
      tool: request.tool, kind: .erase, source: try request.source(), result: nil, relations: request.relationsPath,
      relation: relation.name, fact: nil, newAnswer: nil, method: method.recorded,
      location: EditRecord.Location(located), neurons: neurons,
      factIndices: relation.facts.indices.filter { asked.contains(relation.facts[$0]) },
      prompts: relation.templates.map(\.pattern), editedPrompt: nil,
      order: request.order == .leftToRight ? nil : request.order, seed: request.seed,
      before: [
        "intraPerplexity": evaluation.intraPerplexityBefore, "interPerplexity": evaluation.interPerplexityBefore,
        "intraAccuracy": evaluation.intraAccuracyBefore, "interAccuracy": evaluation.interAccuracyBefore,
      ],
      after: [
        "intraPerplexity": evaluation.intraPerplexityAfter, "interPerplexity": evaluation.interPerplexityAfter,
        "intraAccuracy": evaluation.intraAccuracyAfter, "interAccuracy": evaluation.interAccuracyAfter,
        "largestRise": evaluation.largestRise, "slots": Double(evaluation.slots), "changeNorm": evaluation.changeNorm,
      ])
    return Plan(record: record, evaluation: evaluation, slots: slots)
  }

  /// Writes a plan's checkpoint and record, and returns the record.
  public func write(_ plan: Plan) throws -> EditRecord { try request.write(plan.slots, plan.record) }

  /// Plans and writes, whatever the figures; returns the plan with the record as written.
  public func carryOut(progress: (Int) -> Void = { _ in }) throws -> Plan {
    var plan = try plan(progress: progress)
    plan.record = try write(plan)
    return plan
  }
}
