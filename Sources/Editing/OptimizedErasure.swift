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
/// disturbed, and the erasure is made. Prompts whose answer the model knows go first: there is something to keep. Of many
/// prompts of either kind each step runs some, in turn.
public struct OptimizedErasure: EditingMethod {
  /// Prompts of the relation with the word piece each should no longer prefer.
  public let targets: [AttributionTarget]
  /// How many answers the facts erased have, or where the relation's others stay, all of it.
  public let answerCount: Int
  /// Their first word pieces.
  public let answers: [Int]
  /// Another relation and the prompts from which its neighbours are taken, in that order, with their right answers.
  public struct OtherRelation: Sendable {
    /// The relation's name.
    public let name: String
    /// The prompts.
    public let prompts: [AttributionTarget]

    /// Prompts of a relation.
    public init(name: String, prompts: [AttributionTarget]) {
      self.name = name
      self.prompts = prompts
    }
  }

  /// The other relations that have prompts.
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
  /// From this P on an answer that is kept counts as known, said or not.
  static let leastKnown = 1e-4
  /// Prompts among which those whose answer the model knows are looked for, for each neighbour.
  public static let candidatesPerNeighbour = 2

  /// An erasure of what `targets` ask.
  public init(
    targets: [AttributionTarget], answerCount: Int, answers: [Int], others: [OtherRelation],
    neighbourShares: [String: Int]? = nil,
    optimization: SlotOptimization, threads: ThreadCount = .allCores
  ) {
    self.targets = targets
    self.answerCount = answerCount
    self.answers = answers
    self.others = others.filter { !$0.prompts.isEmpty }
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
    func erase(beside neighbours: [[AttributionTarget]], _ shares: [String: Int]?) throws -> Choice {
      let (chosen, slots) = try self.erase(optimization, targets, beside: neighbours, model, lowestLayer, neurons) {
        progress(tried + $0, tried + optimization.steps)
      }
      return Choice(neurons: chosen, slots: slots, neighbourShares: shares)
    }
    func erase(_ shares: [String: Int]) throws -> Choice {
      try erase(beside: knownFirst(others.map { shares[$0.name] ?? 0 }, in: model), shares)
    }
    if let neighbourShares { return try erase(neighbourShares) }
    guard count > 0 else { return try erase(beside: [], nil) }
    guard others.reduce(0, { $0 + $1.prompts.count }) > count, others.count > 1 else {
      return try erase(beside: others.map(\.prompts), nil)
    }
    func share(_ whole: Int, upTo most: Int = .max) -> Int { max(1, min(most, Int(Self.trialShare * Double(whole)))) }
    let each = max(1, share(count, upTo: Self.mostTried.neighbours) / others.count)
    let sample = knownFirst(others.map { _ in 2 * each }, in: model)
    var trial = optimization
    trial.steps = share(optimization.steps, upTo: Self.mostTried.steps)
    // A weight that grew, or a pull, would hide what is disturbed.
    (trial.largestNeighbourWeight, trial.pullRate) = (nil, nil)
    let asked = share(min(targets.count, optimization.erasedPromptsPerStep ?? targets.count))
    let first = try self.erase(
      trial, Array(targets.prefix(asked)), beside: sample.map { Array($0.prefix(each)) }, model, lowestLayer, neurons
    ) { progress($0, trial.steps + optimization.steps) }
    tried = trial.steps
    // What it did not see tells more; a relation that has no more is judged by what there is.
    let unseen = sample.map { $0.count > each ? Array($0.dropFirst(each)) : $0 }
    let shares = Self.shares(of: count, by: divergences(on: unseen, from: model, to: model.replacing(first.slots)))
    return try erase(Dictionary(uniqueKeysWithValues: zip(others.map(\.name), shares)))
  }

  /// A prompt of another relation, which stays as it is.
  struct Neighbour {
    /// What is asked, with its right answer.
    let target: AttributionTarget
    /// Which of ``others`` it is of.
    let relation: Int
  }

  private func erase(
    _ optimization: SlotOptimization, _ targets: [AttributionTarget], beside neighbours: [[AttributionTarget]],
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
    let neighbours = neighbours.enumerated().flatMap { relation, own in
      own.map { Neighbour(target: $0, relation: relation) }
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

  /// So many prompts of each relation, of the first ``candidatesPerNeighbour`` times as many those first whose answer the model
  /// knows: it says it, or where ``SlotOptimization/keepsAnswers`` is set, gives it ``leastKnown``.
  func knownFirst(_ counts: [Int], in model: MaskedLanguageModel) -> [[AttributionTarget]] {
    let candidates = zip(others, counts).map { Array($0.prompts.prefix(Self.candidatesPerNeighbour * $1)) }
    let flat = candidates.flatMap { $0 }
    let isKnown = model.bert.predict(flat.map(\.prompt), threads: threads) { index, prediction in
      let answer = flat[index].answer
      return optimization.keepsAnswers
        ? prediction.probability(of: answer) >= Self.leastKnown : prediction.best == answer
    }
    var start = 0
    return zip(candidates, counts).map { own, count in
      defer { start += own.count }
      let positions = own.indices
      let known = positions.filter { isKnown[start + $0] }
      let unknown = positions.filter { !isKnown[start + $0] }
      return (known + unknown).prefix(count).map { own[$0] }
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

  /// How many of `count` neighbours each relation gives, by how much a trial disturbed it.
  static func shares(of count: Int, by divergences: [Double]) -> [Int] {
    // Rounding may leave a little less than nothing.
    let disturbed = divergences.map { $0.isFinite ? max(0, $0) : 0 }
    let sum = disturbed.reduce(0, +)
    let even = Double(count) / Double(max(1, divergences.count))
    guard sum > 0 else { return disturbed.map { _ in Int(even.rounded(.up)) } }
    let most = max(2 * even, mostOfOne * Double(count))
    return disturbed.map {
      max(1, Int(min(most, (1 - nearShare) * even + nearShare * Double(count) * $0 / sum).rounded()))
    }
  }

  /// Prompts of one relation that may be asked for, where so many neighbours are wanted.
  public static func mostCandidates(neighbours count: Int, relations: Int) -> Int {
    let even = (count + relations - 1) / max(1, relations)
    return candidatesPerNeighbour * max(2 * even, Int(mostOfOne * Double(count)) + 1)
  }
}
