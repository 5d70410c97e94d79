import BERT
import Editing
import Kernels
import Relations

/// How an update computes its value slots, before it is bound to a model and a fact.
public enum UpdateMethod: Sendable, Hashable {
  /// The paper's rewrite with λ₁ and λ₂.
  case paper(lambda1: Double, lambda2: Double)
  /// Optimised slots.
  case optimized(OptimizedUpdate.Parameters)

  /// The names by which users choose a method.
  public static let names = ["paper", "optimized"]

  /// As the record keeps it.
  var recorded: EditRecord.Method {
    switch self {
    case .paper(let lambda1, let lambda2): EditRecord.Method(name: "paper", lambda1: lambda1, lambda2: lambda2)
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
      guard let lambda1 = method.lambda1, let lambda2 = method.lambda2 else {
        throw .incompleteRecord(field: "lambda1 and lambda2")
      }
      self = .paper(lambda1: lambda1, lambda2: lambda2)
    }
  }

  /// The method for one fact and its new answer.
  ///
  /// - Parameters:
  ///   - questions: What the edit will be judged on; none of it becomes a neighbour.
  func bound(
    to fact: Fact, newAnswer: String, prompts: [String], in model: MaskedLanguageModel, catalogue: RelationCatalogue,
    questions: EvaluationQuestions, seed: UInt64, threads: ThreadCount
  ) throws -> any EditingMethod {
    let new = try model.answer(newAnswer)
    switch self {
    case .paper(let lambda1, let lambda2):
      return PaperUpdate(old: try model.answer(fact.answer), new: new, lambda1: lambda1, lambda2: lambda2)
    case .optimized(let parameters):
      var generator = SeededGenerator(seed: seed &+ 2)
      let judged = Set((questions.intra + questions.inter).map(\.prompt))
      func draw(_ names: [String], _ count: Int) throws -> [EncodedPrompt] {
        let pool = try names.flatMap { name in
          let relation = try catalogue.relation(named: name)
          return relation.facts.filter { $0.subject != fact.subject }.map { relation.prompts(for: $0) }
        }.filter { $0.contains { !judged.contains($0) } }
        return try pool.shuffled(using: &generator).prefix(count).compactMap { prompts in
          prompts.filter { !judged.contains($0) }.randomElement(using: &generator)
        }.map { try model.encode($0) }
      }
      let same = try draw([fact.relation], parameters.sameRelation)
      let others = try draw(catalogue.names.filter { $0 != fact.relation }, parameters.otherRelations)
      return OptimizedUpdate(
        new: new, prompts: try prompts.map { try model.encode($0) }, neighbours: same + others,
        parameters: parameters, threads: threads)
    }
  }
}
