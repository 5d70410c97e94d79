import BERT
import Kernels

/// What an update did beyond its own prompts.
public struct SideEffects: Sendable, Hashable, Encodable {
  /// On prompts of other facts of the edited relations; nil where there are none.
  public let sameRelation: Locality?
  /// On prompts of facts of other relations; nil where there are none.
  public let otherRelations: Locality?
  /// On prompts about edited subjects in other relations; nil where none has a fact about them.
  public let sameSubject: Locality?
  /// Portability: share of the inverse relations' prompts about new answers whose arg-max is the subject; nil without an
  /// inverse relation.
  public let portability: Double?

  init(
    before: MaskedLanguageModel, after: MaskedLanguageModel, _ questions: EvaluationQuestions, order: AnswerOrder,
    threads: ThreadCount
  ) throws {
    func locality(_ questions: [Question]) throws -> Locality? {
      try Locality(before: before, after: after, questions, order: order, threads: threads)
    }
    sameRelation = try locality(questions.intra)
    otherRelations = try locality(questions.inter)
    sameSubject = try locality(questions.sameSubject)
    portability =
      questions.inverse.isEmpty
      ? nil : try after.answerFigures(questions.inverse, order: order, threads: threads).accuracy
  }

  /// The figures that compare two models, by the names that documents have for them.
  private var comparisons: [String: Double] {
    var figures: [String: Double] = [:]
    for (name, part) in [("intra", sameRelation), ("inter", otherRelations), ("sameSubject", sameSubject)] {
      figures[name + "Kept"] = part?.kept
      figures[name + "KeptOfRight"] = part?.keptOfRight
      figures[name + "Divergence"] = part?.divergence
    }
    figures["portability"] = portability
    return figures
  }

  private func perplexities(_ suffix: String, _ value: (Locality) -> Double) -> [String: Double] {
    var figures: [String: Double] = [:]
    figures["intraPerplexity" + suffix] = sameRelation.map(value)
    figures["interPerplexity" + suffix] = otherRelations.map(value)
    return figures
  }

  /// The figures that a record keeps, on the source.
  var recordedBefore: [String: Double] { perplexities("", \.perplexityBefore) }

  /// The same on the result, with those that compare the two.
  var recordedAfter: [String: Double] {
    comparisons.merging(perplexities("", \.perplexityAfter)) { first, _ in first }
  }

  /// All figures side by side.
  public func encode(to encoder: any Encoder) throws {
    try comparisons.encode(to: encoder)
    try perplexities("Before", \.perplexityBefore).encode(to: encoder)
    try perplexities("After", \.perplexityAfter).encode(to: encoder)
  }
}
