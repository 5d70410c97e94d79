import BERT
import Editing
import Neurons
import Relations

/// What an edit is judged on besides its own prompts.
public struct EvaluationQuestions: Sendable {
  /// Questions on the relation itself: other facts of it, or all that were erased.
  public let intra: [Question]
  /// Questions on other relations.
  public let inter: [Question]
  /// Of an erasure of some facts, the relation whose other facts shall stay; these come in ``inter``.
  let keptPart: String?
  /// Of an erasure, which of ``inter`` belong to which relation.
  let interRelations: [(name: String, range: Range<Int>)]
  /// Of an erasure, the first word pieces of the answers that it should leave alike: those of the facts erased, or where the
  /// others stay, of all the relation.
  let answers: [Int]
  /// Questions on the edited subjects in other relations.
  public let sameSubject: [Question]
  /// Questions on the updated fact, or on those erased, in wordings that the edit does not see; an update of several facts has
  /// them beside.
  public let heldBack: [Question]
  /// Questions of the inverse relation that the update implies: about the new answer, expecting the subject.
  public let inverse: [Question]
  /// The subjects that are edited.
  let editedSubjects: [EditedSubject]
  /// What is asked about.
  let topics: Set<Topic>

  /// What is asked, none of which an edit may see.
  func wordings(in model: MaskedLanguageModel) -> Set<Wording> {
    model.wordings((intra + heldBack + inter + sameSubject + inverse).map(\.prompt))
  }

  /// Number of random facts of each kind, as in the paper.
  public static let sampleSize = 5
  /// Questions on edited subjects in other relations, at most.
  static let mostOnSubjects = 200

  /// Questions of one's own.
  public init(
    intra: [Question], inter: [Question], sameSubject: [Question] = [], heldBack: [Question] = [],
    inverse: [Question] = []
  ) {
    (self.intra, self.inter, self.heldBack, self.inverse) = (intra, inter, heldBack, inverse)
    self.sameSubject = sameSubject
    (keptPart, interRelations, editedSubjects, topics, answers) = (nil, [], [], [], [])
  }

  /// For an update: 5 random other facts of the relation and 5 random facts of other relations.
  ///
  /// Facts whose answer the vocabulary cannot spell are left out.
  /// - Parameters:
  ///   - edit: The update.
  ///   - heldBack: Templates of the relation that the edit does not see.
  public init(
    updating edit: FactEdit, heldBack: [Template] = [], in catalogue: RelationCatalogue, model: MaskedLanguageModel,
    seed: UInt64
  ) throws {
    try self.init(updating: [edit], heldBack: heldBack, in: catalogue, model: model, seed: seed)
  }

  /// For an update of several facts: of the same numbers of facts, none of them edited, 5 for each edited relation.
  public init(
    updating edits: [FactEdit], heldBack: [Template], in catalogue: RelationCatalogue, model: MaskedLanguageModel,
    seed: UInt64
  ) throws {
    var generator = SeededGenerator(seed: seed)
    let names = Set(edits.map(\.fact.relation))
    let subjects = Set(edits.map(\.fact.subject))
    var asked: [(Relation, Fact)] = []
    var inverse: [(topic: Topic, question: Question)] = []
    for name in catalogue.names where names.contains(name) {
      let own = try catalogue.relation(named: name)
      asked += own.facts.filter { !subjects.contains($0.subject) }.sample(Self.sampleSize, using: &generator) {
        own.isAskable($0, model)
      }.map { (own, $0) }
      if let other = try own.inverse(in: catalogue) {
        for edit in edits where edit.fact.relation == name {
          inverse += other.templates.map {
            (
              Topic(relation: other.name, subject: edit.newAnswer),
              Question(prompt: $0.prompt(subject: edit.newAnswer), answer: edit.fact.subject)
            )
          }
        }
      }
    }
    var pool: [(Relation, Fact)] = []
    for name in catalogue.names where !names.contains(name) {
      let relation = try catalogue.relation(named: name)
      pool += relation.facts.map { (relation, $0) }
    }
    let others = pool.sample(Self.sampleSize, using: &generator) {
      !subjects.contains($0.1.subject) && $0.0.isAskable($0.1, model)
    }
    editedSubjects = EditedSubject.all(of: edits, in: catalogue)
    sameSubject = try Self.questions(
      about: editedSubjects, in: catalogue, model: model, heldBack: heldBack,
      edited: model.wordings(edits.flatMap(\.prompts)),
      using: &generator)
    intra = asked.flatMap { Self.questions($0.0, $0.1) }
    inter = others.flatMap { Self.questions($0.0, $0.1) }
    let asking = inverse.filter { (try? model.factors($0.question.prompt, answer: $0.question.answer)) != nil }
    topics = Set((asked + others).map(\.1.topic) + asking.map(\.topic))
    self.heldBack =
      edits.count == 1
      ? heldBack.map { Question(prompt: $0.prompt(subject: edits[0].fact.subject), answer: edits[0].newAnswer) } : []
    (keptPart, interRelations, answers) = (nil, [], [])
    self.inverse = asking.map(\.question)
  }

  /// For an erasure: every fact given of the relation, and 5 random facts of each other relation.
  ///
  /// - Parameters:
  ///   - keepsOthers: Whether the relation's other facts shall stay, which then are asked about as if they were another
  ///     relation.
  ///   - heldBack: Templates of the relation that the erasure does not see.
  public init(
    erasing relation: Relation, facts: [Fact], keepsOthers: Bool = false, heldBack: [Template] = [],
    in catalogue: RelationCatalogue, model: MaskedLanguageModel, seed: UInt64
  ) throws {
    var generator = SeededGenerator(seed: seed)
    let templates = relation.split(holdingBack: heldBack, in: model)
    func own(_ templates: [Template]) -> [Question] {
      facts.flatMap { fact in
        templates.map { Question(prompt: $0.prompt(subject: fact.subject), answer: fact.answer) }
      }
    }
    (intra, self.heldBack) = (own(templates.used), own(templates.heldBack))
    // What is to be forgotten is nothing that another relation with the same wording could keep.
    let forgotten = model.wordings((intra + self.heldBack).map(\.prompt))
    var inter: [Question] = []
    var ranges: [(name: String, range: Range<Int>)] = []
    let erased = Set(facts.map(\.topic))
    var asked = erased
    for name in catalogue.names(besideErased: relation, keepsOthers: keepsOthers) {
      let other = try catalogue.relation(named: name)
      let sample = other.facts.filter { !erased.contains($0.topic) }.sample(Self.sampleSize, using: &generator) {
        other.isAskable($0, model)
      }
      asked.formUnion(sample.map(\.topic))
      let start = inter.count
      inter += sample.flatMap { Self.questions(other, $0) }.filter { !forgotten.contains(model.wording($0.prompt)) }
      if inter.count > start { ranges.append((name, start..<inter.count)) }
    }
    self.inter = inter
    keptPart = keepsOthers ? relation.name : nil
    interRelations = ranges
    topics = asked
    // What the vocabulary cannot spell is no rival.
    let alike = (keepsOthers ? relation.facts : facts).compactMap { try? model.pieces(of: $0.answer).first }
    answers = Set(alike).sorted()
    (editedSubjects, inverse, sameSubject) = ([], [], [])
  }

  /// One question of each other relation that has a fact about an edited subject; a relation of one template has none, so
  /// that the edit can see that one.
  private static func questions(
    about subjects: [EditedSubject], in catalogue: RelationCatalogue, model: MaskedLanguageModel, heldBack: [Template],
    edited: Set<Wording>, using generator: inout SeededGenerator
  ) throws -> [Question] {
    let unseen = model.wordings(heldBack)
    var result: [Question] = []
    for subject in subjects {
      for name in subject.otherRelations where result.count < mostOnSubjects {
        let relation = try catalogue.relation(named: name)
        // Relations may share wordings.
        let templates = relation.templates.filter {
          !unseen.contains(model.wording($0)) && !edited.contains(model.wording($0.prompt(subject: subject.name)))
        }
        guard templates.count > 1, let template = templates.randomElement(using: &generator),
          let other = relation.facts.first(where: { $0.subject == subject.name && relation.isAskable($0, model) })
        else { continue }
        result.append(Question(prompt: template.prompt(subject: subject.name), answer: other.answer))
      }
    }
    return result
  }

  private static func questions(_ relation: Relation, _ fact: Fact) -> [Question] {
    relation.prompts(for: fact).map { Question(prompt: $0, answer: fact.answer) }
  }
}

extension RelationCatalogue {
  /// The relations that an erasure shall leave alone; the erased one comes last, where its other facts shall stay.
  func names(besideErased relation: Relation, keepsOthers: Bool) -> [String] {
    names.filter { $0 != relation.name } + (keepsOthers ? [relation.name] : [])
  }
}

extension Array {
  /// Up to `count` random elements for which `isUsable` holds, which is asked of no more elements than it takes.
  fileprivate func sample(
    _ count: Int, using generator: inout SeededGenerator, _ isUsable: (Element) -> Bool
  ) -> [Element] {
    var result: [Element] = []
    for element in shuffled(using: &generator) {
      if result.count == count { break }
      if isUsable(element) { result.append(element) }
    }
    return result
  }
}
