import BERT
import Checkpoint
import Kernels
import Neurons

/// An erasure of a relation by optimisation: one set of value slots after which every fact's answer is about as likely as
/// the relation's other answers are on the whole, while other relations stay.
///
/// Minimises the mean over the relation's prompts of |ln P(t) − mean of ln P of the relation's other answers| plus weight ·
/// mean KL(before ‖ now) over neighbours, to which ``SlotOptimization/keepsAnswers`` adds half the square of the change of ln P of
/// their right answers. So t ends amid the others. Where all of these together have less than
/// ``SlotOptimization/answersTogether``, the loss is by as much larger as ln of that is than ln of theirs, so that they do not go
/// to noise. Where there
/// are no others, and in older erasures (``Forgetting/evenShare``), it is |ln P(t) − ln m| instead, with m ``ownShare`` of an
/// even share among the relation's answers.
///
/// An erasure disturbs few relations, those that ask nearly the same, and these much. So a short trial beside as many
/// neighbours of each relation comes first. Then the neighbours are drawn anew, most of them from the relations that it
/// disturbed, and the erasure is made. Facts that the model knows go first: there is something to keep. Of many prompts of either
/// kind each step runs some, in turn.
public struct OptimizedErasure: EditingMethod {
  /// Prompts of the relation with the word piece each should no longer prefer.
  public let targets: [AttributionTarget]
  /// How many answers the facts erased have, or where the relation's others stay, all of it.
  public let answerCount: Int
  /// Their first word pieces.
  public let answers: [Int]
  /// Another relation and what its neighbours are taken from.
  public struct OtherRelation: Sendable {
    /// The relation's name.
    public let name: String
    /// Of each fact, or what the model believes to be one, its prompts with their right answers, at least one, in the order in which
    /// they are taken.
    public let facts: [[AttributionTarget]]

    /// Facts of a relation; those without prompts are left out.
    public init(name: String, facts: [[AttributionTarget]]) {
      self.name = name
      self.facts = facts.filter { !$0.isEmpty }
    }

    /// The number of prompts.
    var promptCount: Int { facts.reduce(0) { $0 + $1.count } }
  }

  /// The other relations that have facts.
  public let others: [OtherRelation]
  /// How many neighbours each of them gives, where that is known; nil to try it out.
  public let neighbourShares: [String: Int]?
  /// What steers the optimisation.
  public let optimization: SlotOptimization
  /// Threads to use.
  public let threads: ThreadCount

  /// The P that a fact's answer is brought to with ``Forgetting/evenShare``, as a share of one by the number of the relation's answers.
  static let ownShare = 0.5
  /// What the trial takes of the steps, of the targets of a step and of the neighbours.
  static let trialShare = 0.25
  /// Steps of the trial and its neighbours, at most: which relations it disturbs is soon seen.
  static let mostTried = (steps: 32, neighbours: 3000)
  /// The part of the neighbours that is drawn by what the trial disturbed; of the rest each relation gives as many.
  static let nearShare = 0.7
  /// The part of the neighbours that one relation gives at most; twice an even part where that is more.
  static let mostOfOne = 0.25
  /// Facts among which those that the model knows are looked for, for each neighbour.
  static let candidatesPerNeighbour = 2
  /// Prompts of a fact that are asked to find whether the model knows it, at most.
  public static let promptsOfKnowledge = 3

  /// An erasure of what `targets` ask.
  public init(
    targets: [AttributionTarget], answerCount: Int, answers: [Int], others: [OtherRelation],
    neighbourShares: [String: Int]? = nil,
    optimization: SlotOptimization, threads: ThreadCount = .allCores
  ) {
    self.targets = targets
    self.answerCount = answerCount
    self.answers = answers
    self.others = others.filter { !$0.facts.isEmpty }
    self.neighbourShares = neighbourShares
    self.optimization = optimization
    self.threads = threads
  }

  /// The slots after the edit.
  public func valueSlots(of neurons: [Neuron], in model: MaskedLanguageModel) -> [ValueSlot] {
    guard let lowest = neurons.map(\.layer).min() else { return [] }
    return choose(in: model, from: lowest) { _, _ in neurons }.slots
  }

  /// What an erasure moves, and how its neighbours were divided.
  public struct Choice: Sendable {
    /// The neurons.
    public let neurons: [Neuron]
    /// Their slots after the edit.
    public let slots: [ValueSlot]
    /// How many neighbours each relation gave, with which ``OptimizedErasure/neighbourShares`` makes the same erasure again;
    /// nil where all that were at hand were taken.
    public let neighbourShares: [String: Int]?
  }

  /// The neurons to move and their slots after the edit.
  ///
  /// - Parameters:
  ///   - model: The model as it is.
  ///   - lowestLayer: The lowest layer whose slots may change.
  ///   - neurons: The neurons to move, from goals of which the range given are the relation's prompts and the last ones the
  ///     neighbours; called for the trial and for the erasure.
  ///   - progress: Is told how many steps are done, and of how many.
  /// - Throws: What `neurons` throws.
  public func choose(
    in model: MaskedLanguageModel, from lowestLayer: Int, progress: (_ done: Int, _ of: Int) -> Void = { _, _ in },
    neurons: (TracedGoals, Range<Int>) throws -> [Neuron]
  ) rethrows -> Choice {
    let count = optimization.otherRelations
    var tried = 0
    func erase(beside neighbours: [Neighbour], _ shares: [String: Int]?) throws -> Choice {
      let (chosen, slots) = try self.erase(optimization, targets, beside: neighbours, model, lowestLayer, neurons) {
        progress(tried + $0, tried + optimization.steps)
      }
      return Choice(neurons: chosen, slots: slots, neighbourShares: shares)
    }
    guard count > 0 else { return try erase(beside: [], nil) }
    func erase(_ shares: [String: Int]) throws -> Choice {
      let counts = others.map { shares[$0.name] ?? 0 }
      return try erase(beside: zip(known(counts, in: model), counts).flatMap { $0.prompts.prefix($1) }, shares)
    }
    if let neighbourShares { return try erase(neighbourShares) }
    let prompts = others.map(\.promptCount)
    guard prompts.reduce(0, +) > count, others.count > 1 else {
      return try erase(beside: known(prompts, in: model).flatMap(\.prompts), nil)
    }
    func share(_ whole: Int, upTo most: Int = .max) -> Int { max(1, min(most, Int(Self.trialShare * Double(whole)))) }
    let each = max(1, share(count, upTo: Self.mostTried.neighbours) / others.count)
    let knowledge = known(others.map { _ in 2 * each }, in: model)
    let sample = knowledge.map { $0.prompts.prefix(2 * each) }
    var trial = optimization
    trial.steps = share(optimization.steps, upTo: Self.mostTried.steps)
    // A weight that grew, or a pull, would hide what is disturbed.
    (trial.largestNeighbourWeight, trial.pullRate) = (nil, nil)
    let asked = share(min(targets.count, optimization.erasedPromptsPerStep ?? targets.count))
    let first = try self.erase(
      trial, Array(targets.prefix(asked)), beside: sample.flatMap { $0.prefix(each) }, model, lowestLayer, neurons
    ) { progress($0, trial.steps + optimization.steps) }
    tried = trial.steps
    // What it did not see tells more; a relation that has no more is judged by what there is.
    let unseen = sample.map { ($0.count > each ? $0.dropFirst(each) : $0).map(\.target) }
    let shares = Self.shares(
      of: count, by: divergences(on: unseen, from: model, to: model.replacing(first.slots)),
      known: zip(knowledge, prompts).map { Int(($0.share * Double($1)).rounded()) }, all: prompts)
    return try erase(Dictionary(uniqueKeysWithValues: zip(others.map(\.name), shares)))
  }

  /// A prompt of another relation, which stays as it is.
  struct Neighbour {
    /// What is asked, with its right answer.
    let target: AttributionTarget
    /// Which of ``others`` it is of, where the model knows the fact; nil where it does not.
    let relation: Int?
  }

  private func erase(
    _ optimization: SlotOptimization, _ targets: [AttributionTarget], beside neighbours: [Neighbour],
    _ model: MaskedLanguageModel, _ lowestLayer: Int, _ neurons: (TracedGoals, Range<Int>) throws -> [Neuron],
    progress: (Int) -> Void
  ) rethrows -> (neurons: [Neuron], slots: [ValueSlot]) {
    let rivals = Dictionary(
      uniqueKeysWithValues: Set(targets.map(\.answer)).map { own in (own, answers.filter { $0 != own }) })
    func wanted(_ answer: Int) -> OutputGoal.Wanted {
      if optimization.forgetting == .amid, let others = rivals[answer], !others.isEmpty {
        return .amid(answer, others: others, together: optimization.answersTogether ?? 0)
      }
      return .level(answer, at: Self.ownShare / Double(max(1, answerCount)))
    }
    let turns = optimization.turns(targets, neighbours)
    let goals = turns.map { turn in
      turn.prompts.map {
        OutputGoal(prompt: $0.prompt, wanted: wanted($0.answer), weight: 1 / Double(turn.prompts.count))
      } + optimization.staying(turn.neighbours)
    }
    let traced = TracedGoals(model.bert, goals[0], from: lowestLayer, threads: threads)
    let own = turns[0].prompts
    let chosen = try neurons(traced, own.indices)
    let questions = Dictionary(grouping: own.indices, by: { own[$0].answer }).sorted { $0.key < $1.key }
    let slots = withProductThreads(threads) {
      optimization.minimize(
        traced, questions: questions.map(\.value), neurons: chosen, further: Array(goals.dropFirst()),
        progress: progress)
    }
    return (chosen, slots)
  }

  /// Facts of a relation, those first that the model knows.
  struct KnownFirst {
    /// What part of the facts it knows.
    let share: Double
    /// The facts' prompts: of either kind as many facts as there are before any is asked about again with another template.
    let prompts: [Neighbour]
  }

  /// Of each relation ``candidatesPerNeighbour`` times so many facts, where it has as many.
  ///
  /// A fact is known that is answered rightly on at least half of its first ``promptsOfKnowledge`` prompts. Single prompts do not
  /// tell: what is known has wordings in which it is not said, and what is guessed may be likely.
  func known(_ counts: [Int], in model: MaskedLanguageModel) -> [KnownFirst] {
    let candidates = zip(others, counts).map { $0.facts.prefix(Self.candidatesPerNeighbour * $1) }
    let asked = candidates.map { $0.map { $0.prefix(Self.promptsOfKnowledge) } }
    let flat = asked.joined().joined().map { $0 }
    let isRight = model.bert.predict(flat.map(\.prompt), threads: threads) { $1.best == flat[$0].answer }
    var start = 0
    return candidates.indices.map { relation in
      let isKnown = asked[relation].map { own in
        defer { start += own.count }
        return 2 * isRight[start..<start + own.count].count(where: \.self) >= own.count
      }
      func inTurn(known: Bool) -> [Neighbour] {
        let own = zip(candidates[relation], isKnown).filter { $1 == known }.map(\.0)
        return (0..<(own.map(\.count).max() ?? 0)).flatMap { turn in
          own.filter { turn < $0.count }.map { Neighbour(target: $0[turn], relation: known ? relation : nil) }
        }
      }
      return KnownFirst(
        share: Double(isKnown.count(where: \.self)) / Double(max(1, isKnown.count)),
        prompts: inTurn(known: true) + inTurn(known: false))
    }
  }

  /// The mean divergence of each relation's prompts, in nats.
  private func divergences(
    on prompts: [[AttributionTarget]], from model: MaskedLanguageModel, to edited: MaskedLanguageModel
  ) -> [Double] {
    let flat = prompts.flatMap { $0 }.map(\.prompt)
    let before = model.bert.predict(flat, threads: threads) { $1 }
    let found = edited.bert.predict(flat, threads: threads) { $1.divergence(from: before[$0]) }
    var start = 0
    return prompts.map { own in
      defer { start += own.count }
      return found[start..<start + own.count].reduce(0, +) / Double(max(1, own.count))
    }
  }

  /// How many of `count` neighbours each relation gives, by how much a trial disturbed it: of what the model knows, and only where
  /// that is less than `count`, of the rest.
  ///
  /// - Parameters:
  ///   - known: About how many prompts of facts that the model knows each relation has.
  ///   - all: How many prompts it has.
  static func shares(of count: Int, by divergences: [Double], known: [Int], all: [Int]) -> [Int] {
    // Rounding may leave a little less than nothing.
    let disturbed = divergences.map { $0.isFinite ? max(0, $0) : 0 }
    let sum = disturbed.reduce(0, +)
    let even = 1 / Double(max(1, divergences.count))
    let parts = disturbed.map { sum > 0 ? (1 - nearShare) * even + nearShare * $0 / sum : even }
    let most = max(2 * even, mostOfOne) * Double(count)
    let first = divided(Double(count), by: parts, atMost: known.map { min(most, Double($0)) })
    let rest = divided(
      Double(count) - first.reduce(0, +), by: parts, atMost: zip(all, first).map { min(most, Double($0)) - $1 })
    return zip(first, rest).map { max(1, Int(($0 + $1).rounded())) }
  }

  /// `whole` in proportion to `parts`, none of which is 0; what one would get beyond its limit goes to the others.
  private static func divided(_ whole: Double, by parts: [Double], atMost limits: [Double]) -> [Double] {
    var result = parts.map { _ in 0.0 }
    var open = Array(parts.indices)
    var rest = whole
    while !open.isEmpty {
      let each = rest / open.reduce(0) { $0 + parts[$1] }
      let full = open.filter { each * parts[$0] > limits[$0] }
      if full.isEmpty {
        for index in open { result[index] = each * parts[index] }
        return result
      }
      for index in full {
        result[index] = limits[index]
        rest -= limits[index]
      }
      open.removeAll(where: full.contains)
    }
    return result
  }
}
