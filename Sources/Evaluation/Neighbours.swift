import BERT
import Editing
import Kernels
import Relations

/// Prompts on which an edit shall change nothing, of facts drawn by seed.
struct Neighbours {
  /// The relations, whose templates the prompts are made of.
  let catalogue: RelationCatalogue
  /// What the edit will be judged on: no fact about that is drawn, whatever its answer.
  let excluded: Set<Topic>
  /// Subjects that are edited: no fact about them is drawn but as one.
  let subjects: Set<String>
  /// Templates that the edit must not see.
  private let heldBack: [Template]
  private let unseen: Set<Wording>
  /// Prompts of the edit itself and those on which it will be judged; relations may share wordings.
  private let taken: Set<Wording>
  /// The model that is edited.
  private let model: MaskedLanguageModel

  init(
    catalogue: RelationCatalogue, excluded: Set<Topic>, subjects: Set<String>, heldBack: [Template],
    taken: Set<Wording>, model: MaskedLanguageModel
  ) {
    self.catalogue = catalogue
    self.excluded = excluded
    self.subjects = subjects
    self.heldBack = heldBack
    unseen = model.wordings(heldBack)
    self.taken = taken
    self.model = model
  }

  /// The templates of a relation that the edit may see.
  private func templates(of relation: Relation) -> [Template] {
    relation.templates.filter { !unseen.contains(model.wording($0)) }
  }

  private func isTaken(_ prompt: String) -> Bool { taken.contains(model.wording(prompt)) }

  /// `same` prompts of the named relations together, and `others` of all other relations together.
  ///
  /// A fact's answer does not matter: what the model says is kept, right or wrong.
  func draw(
    of names: [String], same: Int, others: Int, using generator: inout SeededGenerator
  ) throws -> [EncodedPrompt] {
    let rest = catalogue.names.filter { !names.contains($0) }
    return try draw(names, same, &generator) + draw(rest, others, &generator)
  }

  /// Prompts about an edited subject: up to `listed` of its other relations in turn, each time with another template, and
  /// up to `unlisted` of as many relations that have no facts about it.
  func draw(
    about subject: EditedSubject, listed count: Int, unlisted: Int,
    using generator: inout SeededGenerator
  ) throws -> [EncodedPrompt] {
    func prompts(_ name: String) throws -> [String] {
      try templates(of: catalogue.relation(named: name)).map { $0.prompt(subject: subject.name) }
        .filter { !isTaken($0) }.shuffled(using: &generator)
    }
    let all = try subject.otherRelations.map(prompts)
    let turns = 0..<(all.map(\.count).max() ?? 0)
    let inTurn = turns.flatMap { turn in all.filter { turn < $0.count }.map { $0[turn] } }
    // Nothing is drawn where nothing is wanted, so that older records draw the rest as they did.
    let others =
      unlisted == 0
      ? []
      : try subject.unlistedRelations.shuffled(using: &generator).prefix(unlisted).compactMap { try prompts($0).first }
    return (inTurn.prefix(count) + others).compactMap { (try? model.encode($0))?.naming(model.subject(subject.name)) }
  }

  /// About each edited fact up to `count` wordings with a word left out, of each of its relation's templates in turn, that no
  /// relation has, that nothing is judged on, and that no fact before it asks.
  func shortenedPrompts(
    of facts: [Fact], upTo count: Int, using generator: inout SeededGenerator
  ) throws -> [[String]] {
    // Nothing is drawn where nothing is wanted, so that older records draw the rest as they did.
    guard count > 0 else { return facts.map { _ in [] } }
    let relations = Dictionary(uniqueKeysWithValues: try catalogue.all.map { ($0.name, $0) })
    let wordings = model.wordings(relations.values.flatMap(\.templates))
    var asked = taken
    return facts.map { fact in
      let used = relations[fact.relation]?.split(holdingBack: heldBack, in: model).used ?? []
      let variants = used.shuffled(using: &generator).map { template in
        template.shortened.filter { !wordings.contains(model.wording($0)) }.shuffled(using: &generator)
      }
      var result: [String] = []
      for turn in 0..<(variants.map(\.count).max() ?? 0) {
        for own in variants where turn < own.count && result.count < count {
          let prompt = own[turn].prompt(subject: fact.subject)
          if asked.insert(model.wording(prompt)).inserted { result.append(prompt) }
        }
      }
      return result
    }
  }

  /// One prompt each of up to `count` edits that the model has undergone.
  func draw(
    of earlier: [FactEdit], upTo count: Int, using generator: inout SeededGenerator
  ) -> [EncodedPrompt] {
    // Nothing is drawn where there is nothing, so that the rest is drawn as without.
    guard !earlier.isEmpty else { return [] }
    return earlier.shuffled(using: &generator).prefix(count).compactMap {
      guard let prompt = $0.prompts.randomElement(using: &generator) else { return nil }
      return (try? model.encode(prompt))?.naming(model.subject($0.fact.subject))
    }
  }

  /// Of each fact of a relation its prompts with the first word piece of its answer, in the order of the templates, from one on
  /// that is drawn.
  ///
  /// Facts whose answer the vocabulary cannot spell are left out.
  func questions(
    of name: String, order: AnswerOrder, using generator: inout SeededGenerator
  ) throws -> [[AttributionTarget]] {
    let relation = try catalogue.relation(named: name)
    let templates = templates(of: relation)
    return relation.facts.filter {
      !excluded.contains($0.topic) && !subjects.contains($0.subject) && model.canAnswer($0)
    }
    .shuffled(using: &generator).map { fact in
      let first = Int.random(in: 0..<max(1, templates.count), using: &generator)
      return templates.indices.compactMap { turn in
        let prompt = templates[(first + turn) % templates.count].prompt(subject: fact.subject)
        // A subject that fills all positions cannot be asked about, and is no reason to fail.
        return isTaken(prompt) ? nil : try? model.factors(prompt, answer: fact.answer, order: order).first
      }
    }
  }

  /// The P from which on the model believes what it says, and does not guess.
  static let belief = 0.5

  /// What the model believes of `names` in a relation that has no facts about them: like ``questions(of:order:using:)``, with the
  /// answer that it gives with a P of ``belief`` on at least half of each one's first prompts; names of which it believes nothing
  /// are left out.
  func beliefs(
    about names: [String], in relation: Relation, threads: ThreadCount, atLeast least: Double = Neighbours.belief,
    using generator: inout SeededGenerator
  ) -> [[AttributionTarget]] {
    let listed = Set(relation.facts.map(\.subject))
    let templates = templates(of: relation)
    let asked = names.filter {
      !listed.contains($0) && !subjects.contains($0)
        && !excluded.contains(Topic(relation: relation.name, subject: $0))
    }.map { name in
      templates.shuffled(using: &generator).map { $0.prompt(subject: name) }.filter { !isTaken($0) }
        .compactMap { try? model.encode($0) }
    }
    let first = asked.map { $0.prefix(OptimizedErasure.promptsOfKnowledge) }
    var said = model.bert.predict(first.flatMap { $0 }, threads: threads) {
      $1.probability(of: $1.best) >= least ? $1.best : nil
    }[...]
    return zip(asked, first).compactMap { prompts, first in
      let own = said.prefix(first.count)
      said = said.dropFirst(first.count)
      let counts = Dictionary(own.compactMap { $0 }.map { ($0, 1) }, uniquingKeysWith: +)
      guard let most = counts.max(by: { ($0.value, $1.key) < ($1.value, $0.key) }), 2 * most.value >= own.count
      else { return nil }
      return prompts.map { AttributionTarget(prompt: $0, answer: most.key) }
    }
  }

  private func draw(
    _ names: [String], _ count: Int, _ generator: inout SeededGenerator
  ) throws -> [EncodedPrompt] {
    guard count > 0, !names.isEmpty else { return [] }
    var result: [EncodedPrompt] = []
    // Every relation gives the same number, so that large ones do not crowd out small ones.
    let share = (count + names.count - 1) / names.count
    for name in names {
      let relation = try catalogue.relation(named: name)
      let templates = templates(of: relation)
      let pool = relation.facts.filter { !excluded.contains($0.topic) && !subjects.contains($0.subject) }
      for fact in pool.shuffled(using: &generator).prefix(share) {
        guard let template = templates.randomElement(using: &generator) else { continue }
        let prompt = template.prompt(subject: fact.subject)
        guard !isTaken(prompt) else { continue }
        // A subject that fills all positions cannot be asked about, and is no reason to fail.
        if let encoded = try? model.encode(prompt) { result.append(encoded.naming(model.subject(fact.subject))) }
      }
    }
    return Array(result.shuffled(using: &generator).prefix(count))
  }
}
