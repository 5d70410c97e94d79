import Checkpoint
import Foundation
import Kernels
import Tensors

/// How far a model is from its goals, and which way value slots would have to move.
public struct SlotGradients: Sendable {
  /// Σ weight · loss.
  public let loss: Double
  /// P of the answer that a goal names; nil where it names none.
  public let probabilities: [Double?]
  /// ∂loss/∂slot, `[hidden]` each.
  public let gradients: [[Float]]
}

/// Goals whose prompts have run once up to the lowest edited layer, so that changes of value slots can be tried fast.
///
/// A change δ of a slot adds (activation · δ) to its layer's feed-forward product, at every position where the neuron
/// fires. So nothing below that sum in the lowest edited layer runs again, and where that is the last layer, nothing
/// but the rows of `[MASK]`. Probabilities are over the word pieces that matter (see ``init(_:goals:slots:threads:)``),
/// which makes the decoder cheap; judge the outcome on predictions over the whole vocabulary.
public struct SlotObjective: Sendable {
  private let model: BERT
  private let slots: [(layer: Int, index: Int)]
  private let goals: [OutputGoal]
  private let groups: [Range<Int>]
  private let stages: [Stage]
  private let head: MaskedLanguageHead
  private let columns: [Int: Int]
  private let threads: ThreadCount
  private let lowest: Int

  /// Word pieces less probable than this on every prompt are left out of the softmax.
  static let leastProbability: Float = 1e-3

  /// Runs the goals' prompts.
  ///
  /// The word pieces that matter: those that the goals name, each prompt's best, and those with P ≥ 10⁻³ anywhere.
  /// - Parameters:
  ///   - model: The model, with its slots as they are.
  ///   - goals: Prompts and what they should give.
  ///   - slots: Layer and index of each slot that may change; at least one.
  ///   - threads: Threads to use; with the same number, results are the same bit for bit.
  public init(_ model: BERT, goals: [OutputGoal], slots: [(layer: Int, index: Int)], threads: ThreadCount = .allCores) {
    precondition(!slots.isEmpty)
    self.model = model
    self.slots = slots
    self.goals = goals
    self.threads = threads
    let lowest = slots.map(\.layer).min() ?? 0
    self.lowest = lowest
    let total = goals.reduce(0) { $0 + $1.prompt.ids.count }
    let groups = model.packs(goals.map(\.prompt), rows: model.balancedRows(total, threads))
    self.groups = groups
    let own = slots.filter { $0.layer == lowest }.map(\.index)
    let started = concurrently(groups.count, threads: threads) { group in
      let prompts = goals[groups[group]].map(\.prompt)
      let stage = Stage(model, prompts, lowest: lowest, slots: own)
      // Every prompt's pieces of some probability, by the whole vocabulary.
      let (states, _) = stage.up(model, [:], lowest: lowest, keepsTapes: false)
      let logs = model.head.logits(states.all)
      logSoftmax(logs.all)
      var pieces: Set<Int> = []
      for row in 0..<logs.rows {
        let values = logs.rows(row, count: 1).values
        pieces.insert(Prediction(logProbabilities: values).best)
        for (id, value) in values.enumerated() where value >= log(Self.leastProbability) { pieces.insert(id) }
      }
      return (stage, pieces)
    }
    var pieces = started.reduce(into: Set<Int>()) { $0.formUnion($1.1) }
    for goal in goals {
      switch goal.wanted {
      case .answer(let piece, _), .level(let piece, _): pieces.insert(piece)
      case .unchanged: break
      }
    }
    let sorted = pieces.sorted()
    columns = Dictionary(uniqueKeysWithValues: sorted.enumerated().map { ($1, $0) })
    var weights = model.weights
    let embeddings = model.weights.wordEmbeddings
    weights.wordEmbeddings = Tensor(
      shape: [sorted.count, model.hidden], values: sorted.flatMap { embeddings.row($0) })
    let bias = model.weights.decoderBias.values
    weights.decoderBias = Tensor(shape: [sorted.count], values: sorted.map { bias[$0] })
    let head = MaskedLanguageHead(weights: weights, epsilon: model.epsilon)
    self.head = head
    stages = concurrently(groups.count, threads: threads) { group in
      var stage = started[group].0
      let (states, _) = stage.up(model, [:], lowest: lowest, keepsTapes: false)
      let before = head.logits(states.all)
      let logs = Matrix(rows: before.rows, columns: before.columns)
      logs.all.copy(from: before.all)
      softmax(before.all)
      logSoftmax(logs.all)
      stage.before = before
      stage.negativeEntropies = (0..<logs.rows).map { dot(before.rows($0, count: 1), logs.rows($0, count: 1)) }
      return stage
    }
  }

  /// The loss and its gradients when each slot has moved by `changes`, `[hidden]` each, in the order of the slots.
  public func evaluate(_ changes: [[Float]]) -> SlotGradients {
    precondition(changes.count == slots.count)
    let byLayer = Dictionary(grouping: slots.indices, by: { slots[$0].layer })
    let parts = concurrently(groups.count, threads: threads) { group in
      var moves: [Int: Stage.Move] = [:]
      for (layer, positions) in byLayer {
        let delta = Matrix(rows: positions.count, columns: model.hidden)
        for (row, position) in positions.enumerated() { delta.all.copy(changes[position], toRow: row) }
        moves[layer] = Stage.Move(indices: positions.map { slots[$0].index }, delta: delta)
      }
      let stage = stages[group]
      let (states, ascent) = stage.up(model, moves, lowest: lowest, keepsTapes: true)
      let (loss, probabilities, gradient) = head.goalGradient(
        states, Array(goals[groups[group]]), columns: columns, before: stage.before,
        negativeEntropies: stage.negativeEntropies)
      let gradients = stage.down(model, moves, gradient, ascent, lowest: lowest)
      var rows: [(position: Int, values: [Float])] = []
      for (layer, positions) in byLayer {
        guard let found = gradients[layer] else { continue }
        for (row, position) in positions.enumerated() { rows.append((position, found.rows(row, count: 1).values)) }
      }
      return (loss, probabilities, rows)
    }
    var sums = slots.map { _ in [Float](repeating: 0, count: model.hidden) }
    for part in parts {
      for (position, values) in part.2 {
        for column in values.indices { sums[position][column] += values[column] }
      }
    }
    return SlotGradients(
      loss: parts.reduce(0) { $0 + $1.0 }, probabilities: parts.flatMap(\.1), gradients: sums)
  }
}

/// Packed prompts that wait at the feed-forward product of the lowest edited layer.
///
/// Written while it is made, before it is shared, hence safe to share between threads.
private struct Stage: @unchecked Sendable {
  /// Slots of one layer and how far they have moved, `[slots, hidden]`.
  struct Move {
    let indices: [Int]
    let delta: Matrix
  }

  /// What the way down needs of the way up.
  struct Ascent {
    /// x̂ and deviation of the lowest layer's last normalisation.
    let unit: Matrix
    let deviation: Matrix
    /// Per layer above the lowest.
    var tapes: [Int: LayerTape] = [:]
    /// Activations of the moved slots per layer, `[rows, slots]`.
    var keys: [Int: Matrix] = [:]
  }

  let packing: Packing
  /// The feed-forward block's input in the lowest layer, `[rows, hidden]`; in the last layer the masks' rows only.
  let input: Matrix
  /// Activations · W2 there, before bias and residual, `[rows, hidden]`.
  let product: Matrix
  /// Activations of the slots there, `[rows, slots]`.
  let keys: Matrix
  /// What the model says before anything moves, `[prompts, pieces]`.
  var before = Matrix(rows: 0, columns: 0)
  /// Σ p · ln p of each prompt's distribution before.
  var negativeEntropies: [Double] = []

  init(_ model: BERT, _ prompts: [EncodedPrompt], lowest: Int, slots: [Int]) {
    var packing = Packing()
    for prompt in prompts { packing.append(length: prompt.ids.count, mask: prompt.mask) }
    self.packing = packing
    var x = ForwardPass.embed(model, prompts, packing)
    for index in 0..<lowest { x = model.layer(index).forward(x, packing, isLast: false, keepsTape: false).output }
    var (input, keys) = (Matrix(rows: 0, columns: 0), Matrix(rows: 0, columns: 0))
    var product = Matrix(rows: 0, columns: 0)
    _ = model.layer(lowest).forward(
      x, packing, isLast: lowest == model.layerCount - 1, keepsTape: false,
      activations: { rows, activations in
        input = copy(rows)
        keys = gatherColumns(activations, slots)
      }, product: { product = copy($0) })
    (self.input, self.product, self.keys) = (input, product, keys)
  }

  /// From the lowest layer's sum to the final states at the masks, `[prompts, hidden]`.
  func up(_ model: BERT, _ moves: [Int: Move], lowest: Int, keepsTapes: Bool) -> (states: Matrix, ascent: Ascent) {
    var ascent = Ascent(
      unit: Matrix(rows: input.rows, columns: model.hidden), deviation: Matrix(rows: input.rows, columns: 1))
    let output = copy(product.all)
    if let move = moves[lowest] {
      multiply(keys.all, move.delta.all, into: output.all, accumulating: true)
      ascent.keys[lowest] = keys
    }
    model.layer(lowest).finishFeedForward(
      output.all, residual: input.all, normalized: ascent.unit.all, deviation: ascent.deviation.all)
    var x = output
    for index in (lowest + 1)..<max(lowest + 1, model.layerCount) {
      let move = moves[index]
      let (above, tape) = model.layer(index).forward(
        x, packing, isLast: index == model.layerCount - 1, keepsTape: keepsTapes,
        activations: { _, activations in
          if let move { ascent.keys[index] = gatherColumns(activations, move.indices) }
        },
        product: { rows in
          if let move, let keys = ascent.keys[index] {
            multiply(keys.all, move.delta.all, into: rows, accumulating: true)
          }
        })
      if keepsTapes { ascent.tapes[index] = tape }
      x = above
    }
    return (x, ascent)
  }

  /// From the gradient of the final states, which is used up, to those of the slots, per layer `[slots, hidden]`.
  func down(
    _ model: BERT, _ moves: [Int: Move], _ gradient: Matrix, _ ascent: Ascent, lowest: Int
  ) -> [Int: Matrix] {
    var result: [Int: Matrix] = [:]
    func take(_ layer: Int, _ output: Slice) {
      guard let keys = ascent.keys[layer] else { return }
      let sums = Matrix(rows: keys.columns, columns: output.columns)
      multiply(keys.all, transposingA: true, output, into: sums.all)
      result[layer] = sums
    }
    var gradient = gradient
    for index in stride(from: model.layerCount - 1, to: lowest, by: -1) {
      guard let tape = ascent.tapes[index] else { break }
      gradient = model.layer(index).backwardToInput(
        gradient.all, tape, packing, isLast: index == model.layerCount - 1
      ) { output, activations in
        take(index, output)
        guard let move = moves[index] else { return }
        // W2 as the model holds it lacks what the slots have moved.
        let missing = Matrix(rows: output.rows, columns: move.indices.count)
        multiply(output, move.delta.all, transposingB: true, into: missing.all)
        for (position, neuron) in move.indices.enumerated() {
          add(missing.all.columns(position, count: 1), to: activations.columns(neuron, count: 1))
        }
      }
    }
    layerNormalizeBackward(
      gradient.all, scale: model.weights.layers[lowest].outputNorm.scale, normalized: ascent.unit.all,
      deviation: ascent.deviation.all)
    take(lowest, gradient.all)
    return result
  }
}

private func copy(_ rows: Slice) -> Matrix {
  let result = Matrix(rows: rows.rows, columns: rows.columns)
  result.all.copy(from: rows)
  return result
}

private func gatherColumns(_ rows: Slice, _ columns: [Int]) -> Matrix {
  let result = Matrix(rows: rows.rows, columns: columns.count)
  for (position, column) in columns.enumerated() {
    result.all.columns(position, count: 1).copy(from: rows.columns(column, count: 1))
  }
  return result
}
