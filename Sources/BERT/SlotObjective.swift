import Checkpoint
import Foundation
import Kernels
import Tensors

/// How far a model is from its goals, and which way value slots would have to move.
public struct SlotGradients: Sendable {
  /// Σ weight · loss.
  public let loss: Double
  /// What becomes of the answer that a goal names; nil where it names none.
  public let answers: [Answer?]
  /// Of each goal that keeps an answer, by how much this answer's ln P has changed; nil for the others.
  public let changes: [Double?]
  /// ∂loss/∂slot, `[hidden]` each.
  public let gradients: [[Float]]

  /// An answer that a goal names.
  public struct Answer: Sendable, Hashable {
    /// Its P.
    public let probability: Double
    /// Whether no word piece that matters is likelier, or none of the others of
    /// ``OutputGoal/Wanted/amid(_:others:together:)``.
    public let isLikeliest: Bool
    /// How often it would be so among these others by chance; 0 where all word pieces that matter are compared.
    public let chance: Double
  }

  /// The share of the named answers that are the likeliest; 0 where none is named.
  public var shareSaid: Double { mean { $0.isLikeliest ? 1 : 0 } }

  /// The share of them that would be by chance.
  public var shareByChance: Double { mean(\.chance) }

  private func mean(_ value: (Answer) -> Double) -> Double {
    let named = answers.compactMap { $0 }
    return named.reduce(0) { $0 + value($1) } / Double(max(1, named.count))
  }
}

/// Goals whose prompts have run once up to the lowest edited layer, so that changes of value slots can be tried fast.
///
/// A change δ of a slot adds (activation · δ) to its layer's feed-forward product, at every position where the neuron
/// fires. So nothing below that sum in the lowest edited layer runs again, and where that is the last layer, nothing
/// but the rows of `[MASK]`. Probabilities are over the word pieces that matter (see ``init(_:slots:pieces:lookingAtAll:)``),
/// which makes the decoder cheap; ``misled(_:leavingOut:)`` tells where that misleads. Judge the outcome on
/// predictions over the whole vocabulary.
public struct SlotObjective: Sendable {
  /// What is asked.
  public var goals: [OutputGoal] { traced.goals }

  private let traced: TracedGoals
  private let slots: [(layer: Int, index: Int)]
  private let parts: [Part]
  private let head: MaskedLanguageHead
  private let columns: [Int: Int]
  private let allColumns: [Int: Int]
  /// The word pieces that probabilities are over.
  public let pieces: Set<Int>

  /// What a group of prompts has besides its stage.
  ///
  /// Written while it is made, hence safe to share between threads.
  private struct Part: @unchecked Sendable {
    /// Activations of the slots of the lowest layer, `[rows, slots]`.
    let keys: Matrix
    /// What the model says before anything moves, `[prompts, pieces]`; empty where no goal is to stay that way.
    let before: Matrix
    /// Σ p · ln p of each row of ``before``.
    let negativeEntropies: [Double]
    /// Whether probabilities are over the whole vocabulary.
    let looksAtAll: Bool
  }

  /// Word pieces less probable than this on every prompt are left out of the softmax.
  static let leastProbability: Float = 1e-3

  /// Makes ready for changes of `slots`.
  ///
  /// Where `pieces` are not given, those that matter: each prompt's best, and those with P ≥ 10⁻³ anywhere. What the goals
  /// name is among them.
  /// - Parameters:
  ///   - traced: Prompts and what they should give.
  ///   - slots: Layer and index of each slot that may change, none below the traced layers; at least one.
  ///   - pieces: The word pieces that probabilities are over.
  ///   - goals: Further ones whose probabilities are over the whole vocabulary; prompts that run with them look at it too.
  public init(
    _ traced: TracedGoals, slots: [(layer: Int, index: Int)], pieces given: Set<Int>? = nil,
    lookingAtAll goals: Set<Int> = []
  ) {
    precondition(!slots.isEmpty && slots.allSatisfy { $0.layer >= traced.lowestLayer })
    self.traced = traced.withoutActivations
    self.slots = slots
    let model = traced.model
    var pieces = given ?? Self.likelyPieces(traced)
    for goal in traced.goals {
      switch goal.wanted {
      case .answer(let piece, _), .level(let piece, _), .keeping(let piece): pieces.insert(piece)
      case .amid(let piece, let others, _): pieces.formUnion(others + [piece])
      case .unchanged: break
      }
    }
    self.pieces = pieces
    let sorted = pieces.sorted()
    columns = Dictionary(uniqueKeysWithValues: sorted.enumerated().map { ($1, $0) })
    let looking = goals.union(traced.goals.indices.filter { traced.goals[$0].looksAtAll })
    allColumns =
      looking.isEmpty
      ? [:] : Dictionary(uniqueKeysWithValues: (0..<model.configuration.vocabularySize).map { ($0, $0) })
    var weights = model.weights
    let embeddings = model.weights.wordEmbeddings
    weights.wordEmbeddings = Tensor(
      shape: [sorted.count, model.hidden], values: sorted.flatMap { embeddings.row($0) })
    let bias = model.weights.decoderBias.values
    weights.decoderBias = Tensor(shape: [sorted.count], values: sorted.map { bias[$0] })
    let head = MaskedLanguageHead(weights: weights, epsilon: model.epsilon)
    self.head = head
    let own = slots.filter { $0.layer == traced.lowestLayer }.map(\.index)
    parts = concurrently(traced.groups.count, threads: traced.threads) { group in
      let stage = traced.stages[group]
      let looksAtAll = !looking.isDisjoint(with: traced.groups[group])
      var (before, negativeEntropies) = (Matrix(rows: 0, columns: 0), [Double]())
      if traced.goals[traced.groups[group]].contains(where: \.wantsNoChange) {
        before = (looksAtAll ? model.head : head).logits(stage.states.all)
        let logs = Matrix(rows: before.rows, columns: before.columns)
        logs.all.copy(from: before.all)
        softmax(before.all)
        logSoftmax(logs.all)
        negativeEntropies = (0..<logs.rows).map { dot(before.rows($0, count: 1), logs.rows($0, count: 1)) }
      }
      return Part(
        keys: stage.keys(of: own, in: model), before: before, negativeEntropies: negativeEntropies,
        looksAtAll: looksAtAll)
    }
  }

  private static func likelyPieces(_ traced: TracedGoals) -> Set<Int> {
    let found = concurrently(traced.groups.count, threads: traced.threads) { group in
      let logs = traced.model.head.logits(traced.stages[group].states.all)
      logSoftmax(logs.all)
      var pieces: Set<Int> = []
      for row in 0..<logs.rows {
        let values = logs.rows(row, count: 1).values
        pieces.insert(Prediction(logProbabilities: values).best)
        for (id, value) in values.enumerated() where value >= log(Self.leastProbability) { pieces.insert(id) }
      }
      return pieces
    }
    return found.reduce(into: Set<Int>()) { $0.formUnion($1) }
  }

  private func moves(_ changes: [[Float]]) -> [Int: Stage.Move] {
    precondition(changes.count == slots.count)
    return Dictionary(grouping: slots.indices, by: { slots[$0].layer }).mapValues { positions in
      let delta = Matrix(unfilled: positions.count, columns: traced.model.hidden)
      for (row, position) in positions.enumerated() { delta.all.copy(changes[position], toRow: row) }
      return Stage.Move(indices: positions.map { slots[$0].index }, delta: delta)
    }
  }

  /// The goals that want an answer, do not look at all word pieces, and leave more than `share` of P to those left out when
  /// each slot has moved by `changes`.
  ///
  /// An answer that the model hardly knows lies so near to thousands of others unknown to it that it can win among the pieces
  /// that matter while those left out win over all.
  public func misled(_ changes: [[Float]], leavingOut share: Double) -> Set<Int> {
    let (model, moves, sorted) = (traced.model, moves(changes), pieces.sorted())
    let wanting = zip(traced.groups, parts).map { group, part in
      part.looksAtAll ? [] : group.filter { traced.goals[$0].wantsAnswer }
    }
    let asked = wanting.indices.filter { !wanting[$0].isEmpty }
    let found = concurrently(asked.count, threads: traced.threads) { position in
      let group = asked[position]
      let rows = wanting[group].map { $0 - traced.groups[group].lowerBound }
      let states = traced.stages[group].up(model, moves, keys: parts[group].keys).states
      let all = model.head.logits(ForwardPass.gather(states.all, rows).all)
      softmax(all.all)
      return wanting[group].enumerated().filter { row, _ in
        1 - sorted.reduce(0.0) { $0 + Double(all[row, $1]) } > share
      }.map(\.element)
    }
    return Set(found.joined())
  }

  /// The loss and its gradients when each slot has moved by `changes`, `[hidden]` each, in the order of the slots.
  ///
  /// - Parameters:
  ///   - neighbourFactor: What the weights of goals that nothing should change are multiplied with.
  ///   - pulls: By ``OutputGoal/relation``, how hard answers that are kept are pulled up: times weight and factor, the gradients
  ///     are those of the loss less the pull times ln P of the answer. The loss is told without that.
  public func evaluate(_ changes: [[Float]], neighbourFactor: Double = 1, pulls: [Double] = []) -> SlotGradients {
    let byLayer = Dictionary(grouping: slots.indices, by: { slots[$0].layer })
    let (model, moves) = (traced.model, moves(changes))
    let results = concurrently(traced.groups.count, threads: traced.threads) { group in
      let (stage, part) = (traced.stages[group], parts[group])
      let (states, ascent) = stage.up(model, moves, keys: part.keys)
      let (head, columns) = part.looksAtAll ? (model.head, allColumns) : (head, columns)
      let (loss, found, gradient) = head.goalGradient(
        states, Array(traced.goals[traced.groups[group]]), neighbourFactor: neighbourFactor, pulls: pulls,
        columns: columns, before: part.before, negativeEntropies: part.negativeEntropies)
      return PartialGradients(loss: loss, found: found, byLayer: stage.down(model, moves, gradient, ascent))
    }
    var gradients = slots.map { _ in [Float]() }
    for (layer, positions) in byLayer {
      let sum = Matrix(rows: positions.count, columns: model.hidden)
      for result in results { if let own = result.byLayer[layer] { add(own.all, to: sum.all) } }
      for (row, position) in positions.enumerated() { gradients[position] = sum.rows(row, count: 1).values }
    }
    let found = results.flatMap(\.found)
    return SlotGradients(
      loss: results.reduce(0) { $0 + $1.loss }, answers: found.map(\.answer), changes: found.map(\.change),
      gradients: gradients)
  }

  /// What a group of prompts adds to the loss and its gradients, per layer `[slots, hidden]`.
  ///
  /// Only read once it is made, hence safe to hand to another thread.
  private struct PartialGradients: @unchecked Sendable {
    let loss: Double
    let found: [GoalRow.Judged]
    let byLayer: [Int: Matrix]
  }
}
