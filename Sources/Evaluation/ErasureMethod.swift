import BERT
import Editing
import Kernels
import Relations

/// How an erasure computes its value slots, before it is bound to a model and facts.
public enum ErasureMethod: Sendable, Hashable {
  /// The paper's: the `top` neurons in most refined sets, their slots filled.
  case paper(top: Int, fill: PaperErasure.Fill)
  /// Optimised slots.
  case optimized(SlotOptimization)

  /// As the record keeps it.
  ///
  /// - Parameters:
  ///   - neighbourShares: What ``OptimizedErasure/Choice/neighbourShares`` says.
  ///   - keepsOthers: Whether the relation's other facts shall stay.
  func recorded(neighbourShares: [String: Int]?, keepsOthers: Bool) -> EditRecord.Method {
    var method =
      switch self {
      case .paper(let top, let fill): EditRecord.Method(name: .paper, top: top, fill: fill)
      case .optimized(let parameters):
        EditRecord.Method(name: .optimized, optimization: parameters, neighbourShares: neighbourShares)
      }
    method.keepsOthers = keepsOthers ? true : nil
    return method
  }

  /// The same without subjects' layers: an erasure has no one subject, whatever it is given.
  var withoutSubject: ErasureMethod {
    guard case .optimized(var parameters) = self else { return self }
    parameters.subjectLayers = .absent
    return .optimized(parameters)
  }

  /// The method of a record.
  ///
  /// - Throws: ``EditError/incompleteRecord(field:)``.
  init(_ method: EditRecord.Method) throws(EditError) {
    if let parameters = try method.optimizationIfOptimized() {
      self = Self.optimized(parameters).withoutSubject
    } else {
      guard let top = method.top, let fill = method.fill else { throw .incompleteRecord(field: "top and fill") }
      self = .paper(top: top, fill: fill)
    }
  }

  /// The method for these facts of a relation.
  ///
  /// - Parameters:
  ///   - keepsOthers: Whether the relation's other facts shall stay.
  ///   - neighbourShares: How many neighbours each other relation gives, where the record tells.
  ///   - heldBack: Templates that the erasure must not see.
  func bound(
    to relation: Relation, facts: [Fact], keepsOthers: Bool, neighbourShares: [String: Int]?,
    in model: MaskedLanguageModel, catalogue: RelationCatalogue, questions: EvaluationQuestions, heldBack: [Template],
    order: AnswerOrder, seed: UInt64, threads: ThreadCount
  ) throws -> any EditingMethod {
    switch self {
    case .paper(_, let fill): return PaperErasure(fill: fill)
    case .optimized(let parameters):
      return try Self.optimized(
        parameters, relation, facts, keepsOthers: keepsOthers, neighbourShares: neighbourShares, in: model,
        catalogue: catalogue, questions: questions, heldBack: heldBack, order: order, seed: seed, threads: threads)
    }
  }

  static func optimized(
    _ parameters: SlotOptimization, _ relation: Relation, _ facts: [Fact], keepsOthers: Bool,
    neighbourShares: [String: Int]? = nil, in model: MaskedLanguageModel, catalogue: RelationCatalogue,
    questions: EvaluationQuestions, heldBack: [Template], order: AnswerOrder, seed: UInt64, threads: ThreadCount
  ) throws -> OptimizedErasure {
    var generator = SeededGenerator(seed: seed &+ 2)
    let neighbours = Neighbours(
      catalogue: catalogue, excluded: questions.topics, subjects: [], heldBack: heldBack,
      taken: questions.wordings(in: model),
      model: model)
    let templates = relation.split(holdingBack: heldBack, in: model).used
    var shortening = SeededGenerator(seed: seed &+ 4)
    let shortened = try neighbours.shortenedPrompts(of: facts, upTo: parameters.shortened, using: &shortening)
    let prompts = zip(facts, shortened).flatMap { fact, besides in
      (templates.map { $0.prompt(subject: fact.subject) } + besides).map { (prompt: $0, fact: fact) }
    }
    // An answer of several pieces is forgotten with its first.
    let targets = try prompts.shuffled(using: &generator).prefix(
      parameters.erasedPrompts ?? SlotOptimization.erasedPromptsBefore
    ).map {
      try model.factors($0.prompt, answer: $0.fact.answer, order: order)[0].naming($0.fact.subject, in: model)
    }
    let names = catalogue.names(besideErased: relation, keepsOthers: keepsOthers)
    let kinds = [\Fact.subject, \Fact.answer].map { name in
      (all: Set(relation.facts.map { $0[keyPath: name] }), erased: facts.map { $0[keyPath: name] })
    }
    return OptimizedErasure(
      targets: Array(targets), answerCount: Set((keepsOthers ? relation.facts : facts).map(\.answer)).count,
      answers: questions.answers,
      others: try names.map { name in
        var facts = try neighbours.questions(of: name, order: order, using: &generator)
        let other = try catalogue.relation(named: name)
        if name != relation.name {
          let names = Set(kinds.filter { other.asksAbout($0.all) }.flatMap(\.erased))
          facts += neighbours.beliefs(about: names.sorted(), in: other, threads: threads, using: &generator)
        }
        return OptimizedErasure.OtherRelation(name: name, facts: facts.shuffled(using: &generator))
      }, neighbourShares: neighbourShares,
      optimization: parameters, threads: threads)
  }
}

extension Relation {
  /// The part of some names about which a relation has facts, from which on it asks about things of their kind.
  private static let leastShared = 0.05

  /// Whether it asks about things of such a kind: whether it has facts about enough of them.
  func asksAbout(_ names: Set<String>) -> Bool {
    let shared = Set(facts.map(\.subject)).intersection(names)
    return Double(shared.count) >= Self.leastShared * Double(max(1, names.count))
  }
}
