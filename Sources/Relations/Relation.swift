/// A relation: the ways to say it, and the facts it holds.
public struct Relation: Sendable {
  /// The relation's name, such as `P36`.
  public let name: String
  /// The relation in words, such as "capital"; the name where no label is known.
  public let label: String
  /// The sentences that state it, in the order of their file.
  public let templates: [Template]
  /// The facts, in the order of their file, repeated ones included.
  public let facts: [Fact]

  /// Puts a relation together.
  public init(name: String, label: String, templates: [Template], facts: [Fact]) {
    self.name = name
    self.label = label
    self.templates = templates
    self.facts = facts
  }

  /// The prompts for `fact`, one a template and in their order.
  public func prompts(for fact: Fact) -> [String] {
    templates.map { $0.prompt(subject: fact.subject) }
  }

  /// The facts about `subject`, in order.
  ///
  /// - Complexity: O(facts).
  public func facts(ofSubject subject: String) -> [Fact] {
    facts.filter { $0.subject == subject }
  }

  /// The distinct answers of all facts, sorted.
  public var answers: [String] {
    Set(facts.map(\.answer)).sorted()
  }

  /// The fact about `subject`, and with `answer` where one is given.
  ///
  /// - Throws: `RelationError` when no fact is about `subject`, when several are with different answers and
  ///   `answer` is nil, or when `answer` is not among them.
  public func fact(subject: String, answer: String? = nil) throws(RelationError) -> Fact {
    let candidates = facts(ofSubject: subject)
    guard let first = candidates.first else {
      throw .unknownSubject(
        subject: subject, relation: name,
        suggestions: NearMisses(of: subject, among: Set(facts.map(\.subject))).closest, count: facts.count)
    }
    let answers = Set(candidates.map(\.answer)).sorted()
    guard let answer else {
      if answers.count > 1 { throw .severalAnswers(subject: subject, relation: name, answers: answers) }
      return first
    }
    guard let fact = candidates.first(where: { $0.answer == answer }) else {
      throw .unknownAnswer(answer: answer, subject: subject, relation: name, answers: answers)
    }
    return fact
  }
}
