import BERT
import Relations

/// Which facts perplexities are measured on.
public struct EvaluationQuestions: Sendable {
  /// Questions on the relation itself: other facts of it, or all that were erased.
  public let intra: [Question]
  /// Questions on other relations.
  public let inter: [Question]

  /// Number of random facts of each kind, as in the paper.
  public static let sampleSize = 5

  /// For an update: 5 random other facts of the relation and 5 random facts of other relations.
  ///
  /// Facts whose answer is not one word piece are left out.
  public init(updating fact: Fact, in catalogue: RelationCatalogue, model: MaskedLanguageModel, seed: UInt64) throws {
    var generator = SeededGenerator(seed: seed)
    let own = try catalogue.relation(named: fact.relation)
    let others = Self.usable(own, model).filter { $0.subject != fact.subject }
    intra = others.shuffled(using: &generator).prefix(Self.sampleSize).flatMap { Self.questions(own, $0) }
    var pool: [(Relation, Fact)] = []
    for name in catalogue.names where name != own.name {
      let relation = try catalogue.relation(named: name)
      pool += Self.usable(relation, model).map { (relation, $0) }
    }
    inter = pool.shuffled(using: &generator).prefix(Self.sampleSize).flatMap { Self.questions($0.0, $0.1) }
  }

  /// For an erasure: every fact given of the relation, and 5 random facts of each other relation.
  public init(
    erasing relation: Relation, facts: [Fact], in catalogue: RelationCatalogue, model: MaskedLanguageModel,
    seed: UInt64
  ) throws {
    var generator = SeededGenerator(seed: seed)
    intra = facts.flatMap { Self.questions(relation, $0) }
    var inter: [Question] = []
    for name in catalogue.names where name != relation.name {
      let other = try catalogue.relation(named: name)
      let facts = Self.usable(other, model).shuffled(using: &generator).prefix(Self.sampleSize)
      inter += facts.flatMap { Self.questions(other, $0) }
    }
    self.inter = inter
  }

  private static func questions(_ relation: Relation, _ fact: Fact) -> [Question] {
    relation.prompts(for: fact).map { Question(prompt: $0, answer: fact.answer) }
  }

  private static func usable(_ relation: Relation, _ model: MaskedLanguageModel) -> [Fact] {
    relation.facts.filter { (try? model.answer($0.answer)) != nil }
  }
}
