import BERT
import Editing
import Kernels
import Neurons
import Relations

/// How an update computes its value slots, before it is bound to a model and facts.
public enum UpdateMethod: Sendable, Hashable {
  /// The paper's rewrite with λ₁ and λ₂.
  case paper(lambda1: Double, lambda2: Double)
  /// Optimised slots.
  case optimized(SlotOptimization)

  /// As the record keeps it.
  var recorded: EditRecord.Method {
    switch self {
    case .paper(let lambda1, let lambda2): EditRecord.Method(name: .paper, lambda1: lambda1, lambda2: lambda2)
    case .optimized(let parameters): EditRecord.Method(name: .optimized, optimization: parameters)
    }
  }

  /// The method of a record.
  ///
  /// - Throws: ``EditError/incompleteRecord(field:)``.
  init(_ method: EditRecord.Method) throws(EditError) {
    if let parameters = try method.optimizationIfOptimized() {
      self = .optimized(parameters)
    } else {
      guard let lambda1 = method.lambda1, let lambda2 = method.lambda2 else {
        throw .incompleteRecord(field: "lambda1 and lambda2")
      }
      self = .paper(lambda1: lambda1, lambda2: lambda2)
    }
  }

  /// The method for these edits.
  ///
  /// - Parameters:
  ///   - questions: What the edit will be judged on; none of it becomes a neighbour.
  ///   - heldBack: Templates that the edit must not see.
  func bound(
    to edits: [FactEdit], in model: MaskedLanguageModel, catalogue: RelationCatalogue, questions: EvaluationQuestions,
    heldBack: [Template], order: AnswerOrder, seed: UInt64, threads: ThreadCount
  ) throws -> any EditingMethod {
    switch self {
    case .paper(let lambda1, let lambda2):
      let edit = edits[0]
      return PaperUpdate(
        old: try model.answer(edit.fact.answer), new: try model.answer(edit.newAnswer), lambda1: lambda1,
        lambda2: lambda2)
    case .optimized(let parameters):
      return try Self.optimized(
        parameters, edits, in: model, catalogue: catalogue, questions: questions, heldBack: heldBack, order: order,
        seed: seed, threads: threads)
    }
  }

  /// - Parameter earlier: Edits that `model` has undergone already, which stay.
  static func optimized(
    _ parameters: SlotOptimization, _ edits: [FactEdit], after earlier: [FactEdit] = [],
    in model: MaskedLanguageModel, catalogue: RelationCatalogue, questions: EvaluationQuestions, heldBack: [Template],
    order: AnswerOrder, seed: UInt64, threads: ThreadCount
  ) throws -> OptimizedUpdate {
    var generator = SeededGenerator(seed: seed &+ 2)
    let names = Set(edits.map(\.fact.relation)).sorted()
    let pieces = try edits.map { try model.pieces(of: $0.newAnswer).count }.max() ?? 1
    let parameters = parameters.scaled(edits: edits.count, relations: names.count, pieces: pieces)
    let subjects = Set(edits.map(\.fact.subject))
    let neighbours = Neighbours(
      catalogue: catalogue, excluded: questions.topics, subjects: subjects, heldBack: heldBack,
      taken: questions.wordings(in: model).union(model.wordings(edits.flatMap(\.prompts))), model: model)
    var shortening = SeededGenerator(seed: seed &+ 4)
    let shortened = try neighbours.shortenedPrompts(
      of: edits.map(\.fact), upTo: parameters.shortened, using: &shortening)
    let targets = try zip(edits, shortened).map { edit, besides in
      try (edit.prompts + besides).flatMap {
        try model.factors($0, answer: edit.newAnswer, order: order).map { $0.naming(edit.fact.subject, in: model) }
      }
    }
    let (own, others) = (
      earlier.filter { subjects.contains($0.fact.subject) }, earlier.filter { !subjects.contains($0.fact.subject) }
    )
    return OptimizedUpdate(
      targets: targets,
      sameSubject: try questions.editedSubjects.filter { subjects.contains($0.name) }.flatMap {
        try neighbours.draw(
          about: $0, listed: parameters.sameSubject, unlisted: parameters.unlisted, using: &generator)
      } + neighbours.draw(of: own, upTo: own.count, using: &generator),
      neighbours: try neighbours.draw(
        of: names, same: parameters.sameRelation, others: parameters.otherRelations, using: &generator)
        + neighbours.draw(
          of: others, upTo: parameters.sameRelation + parameters.otherRelations, using: &generator),
      optimization: parameters, threads: threads)
  }
}
