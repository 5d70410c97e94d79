import Kernels

/// Where in a prompt neurons are looked at.
public enum PromptPosition: Sendable, Hashable {
  /// At the `[MASK]` asked for.
  case mask
  /// At the subject's last word piece, or at `[MASK]` where that is not known.
  case subject
  /// At another word piece: with each goal the next one.
  case elsewhere
}

/// Goals whose prompts have run once up to the feed-forward product of a layer, from which on value slots may change.
public struct TracedGoals: Sendable {
  /// The model, with its slots as they are.
  public let model: BERT
  /// Prompts and what they should give.
  public let goals: [OutputGoal]
  /// The lowest layer whose slots may change.
  public let lowestLayer: Int
  /// Threads to use; with the same number, results are the same bit for bit.
  public let threads: ThreadCount

  let groups: [Range<Int>]
  let stages: [Stage]

  /// Runs the goals' prompts.
  ///
  /// - Parameters:
  ///   - lowestLayer: The lowest layer whose slots may change, looked at in whole prompts.
  ///   - wholeLayers: Further layers that can be looked at in whole prompts, above it and below the last.
  /// - Complexity: memory for the activations of every word piece in each of these layers.
  public init(
    _ model: BERT, _ goals: [OutputGoal], from lowestLayer: Int, wholeLayers: [Int] = [],
    threads: ThreadCount = .allCores
  ) {
    precondition((0..<model.layerCount).contains(lowestLayer))
    precondition(wholeLayers.allSatisfy { (lowestLayer..<model.layerCount - 1).contains($0) })
    self.model = model
    self.goals = goals
    self.lowestLayer = lowestLayer
    self.threads = threads
    let total = goals.reduce(0) { $0 + $1.prompt.ids.count }
    let groups = model.packs(goals.map(\.prompt), rows: model.balancedRows(total, threads))
    self.groups = groups
    stages = concurrently(groups.count, threads: threads) { group in
      Stage(model, goals[groups[group]].map(\.prompt), lowest: lowestLayer, whole: wholeLayers)
    }
  }

  /// The goals that nothing should change, which come last.
  public var neighbours: Range<Int> {
    let first = goals.lastIndex { if case .unchanged = $0.wanted { false } else { true } }.map { $0 + 1 } ?? 0
    return first..<goals.count
  }

  /// Those of the neighbours that are about other subjects than the edited ones, which come last.
  public var strangers: Range<Int> {
    let first = goals[neighbours].lastIndex(where: \.isAboutEditedSubject).map { $0 + 1 } ?? neighbours.lowerBound
    return first..<goals.count
  }

  /// Those of `positions` whose prompts name their subject, or all where none does.
  public func namingSubject(_ positions: [Int]) -> [Int] {
    let found = positions.filter { goals[$0].prompt.subject != nil }
    return found.isEmpty ? positions : found
  }

  /// Some of the goals, with their weights multiplied.
  public func keeping(_ positions: [(goal: Int, factor: Double)]) -> TracedGoals {
    TracedGoals(
      model,
      positions.map {
        let goal = goals[$0.goal]
        return OutputGoal(
          prompt: goal.prompt, wanted: goal.wanted, weight: goal.weight * $0.factor,
          isAboutEditedSubject: goal.isAboutEditedSubject)
      }, from: lowestLayer, threads: threads)
  }

  /// Activations at one position, a row for each of the goals `range` with a value for each neuron.
  ///
  /// - Parameters:
  ///   - neurons: Layer and index of each. Other positions than `[MASK]` are known of whole layers only: the lowest, unless
  ///     it is the model's last, and those that ``init(_:_:from:wholeLayers:threads:)`` was given.
  ///   - range: The goals.
  ///   - position: Where in their prompts.
  public func activations(
    of neurons: [(layer: Int, index: Int)], goals range: Range<Int>, at position: PromptPosition = .mask
  ) -> [[Float]] {
    zip(groups, stages).flatMap { group, stage in
      group.clamped(to: range).map { goal in
        let place = goal - group.lowerBound
        if position == .mask { return neurons.map { stage.atMasks[$0.layer - lowestLayer][place, $0.index] } }
        precondition(lowestLayer < model.layerCount - 1)
        let prompt = goals[goal].prompt
        let own = position == .subject ? prompt.subject ?? prompt.mask : 1 + goal % max(1, prompt.ids.count - 2)
        let row = stage.packing.starts[place] + own
        return neurons.map { stage.whole($0.layer)[row, $0.index] }
      }
    }
  }

  /// For each of the goals `range`, how much the keys respond at most: the largest |key · x|.
  ///
  /// - Parameters:
  ///   - keys: One value for each neuron in each.
  ///   - neurons: Layer and index of each, all of one layer.
  ///   - position: `.mask` to look at `[MASK]` alone, anything else to look at every word piece.
  public func responses(
    of keys: [[Float]], neurons: [(layer: Int, index: Int)], goals range: Range<Int>, at position: PromptPosition
  ) -> [Float] {
    guard let layer = neurons.first?.layer, !keys.isEmpty else { return range.map { _ in 0 } }
    let found = concurrently(groups.count, threads: threads) { group in
      let (own, stage) = (groups[group].clamped(to: range), stages[group])
      guard !own.isEmpty else { return [Float]() }
      let all = position == .mask ? stage.atMasks[layer - lowestLayer] : stage.whole(layer)
      let x = gatherColumns(all.all, neurons.map(\.index))
      let weights = Matrix(rows: keys.count, columns: neurons.count)
      for (row, key) in keys.enumerated() { weights.all.copy(key, toRow: row) }
      let products = Matrix(rows: x.rows, columns: keys.count)
      multiply(x.all, weights.all, transposingB: true, into: products.all)
      return own.map { goal in
        let place = goal - groups[group].lowerBound
        let rows =
          position == .mask
          ? place..<place + 1
          : stage.packing.starts[place]..<stage.packing.starts[place] + stage.packing.lengths[place]
        return rows.reduce(0) { products.rows($1, count: 1).values.reduce($0) { max($0, abs($1)) } }
      }
    }
    return found.flatMap { $0 }
  }
}

/// Packed prompts that wait at the feed-forward product of the lowest edited layer.
///
/// Written while it is made, before it is shared, hence safe to share between threads.
struct Stage: @unchecked Sendable {
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
  /// The activations of whole layers, `[rows, intermediate]` each: there, and in others that were asked for.
  private let activations: [Int: Matrix]
  /// Activations · W2 there, before bias and residual, `[rows, hidden]`.
  let product: Matrix
  /// The activations at the masks of the lowest layer and those above, `[prompts, intermediate]` each.
  let atMasks: [Matrix]
  /// The final states at the masks while nothing has moved, `[prompts, hidden]`.
  let states: Matrix

  init(_ model: BERT, _ prompts: [EncodedPrompt], lowest: Int, whole: [Int]) {
    var packing = Packing()
    for prompt in prompts { packing.append(length: prompt.ids.count, mask: prompt.mask) }
    self.packing = packing
    /// Which rows of a layer's feed-forward block are the masks'.
    func masks(_ layer: Int) -> [Int] {
      layer == model.layerCount - 1 ? Array(0..<packing.count) : packing.masks
    }
    var x = ForwardPass.embed(model, prompts, packing)
    for index in 0..<lowest { x = model.layer(index).forward(x, packing, isLast: false, keepsTape: false).output }
    var input = Matrix(rows: 0, columns: 0)
    var all: [Int: Matrix] = [:]
    var atMasks: [Matrix] = []
    var product = Matrix(rows: 0, columns: 0)
    x =
      model.layer(lowest).forward(
        x, packing, isLast: lowest == model.layerCount - 1, keepsTape: false,
        activations: { rows, activations in
          input = copy(rows)
          all[lowest] = copy(activations)
          atMasks.append(ForwardPass.gather(activations, masks(lowest)))
        }, product: { product = copy($0) }
      ).output
    for index in (lowest + 1)..<max(lowest + 1, model.layerCount) {
      x =
        model.layer(index).forward(
          x, packing, isLast: index == model.layerCount - 1, keepsTape: false,
          activations: { _, activations in
            atMasks.append(ForwardPass.gather(activations, masks(index)))
            if whole.contains(index) { all[index] = copy(activations) }
          }
        ).output
    }
    (self.input, self.activations, self.product, self.atMasks, states) = (input, all, product, atMasks, x)
  }

  /// The activations of a layer that is known in whole, `[rows, intermediate]`.
  func whole(_ layer: Int) -> Matrix {
    guard let found = activations[layer] else { preconditionFailure("Layer \(layer) is not known in whole.") }
    return found
  }

  /// From the lowest layer's sum to the final states at the masks, `[prompts, hidden]`.
  ///
  /// - Parameter keys: Activations of the slots of the lowest layer, `[rows, slots]`.
  func up(_ model: BERT, _ moves: [Int: Move], keys: Matrix, lowest: Int) -> (states: Matrix, ascent: Ascent) {
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
        x, packing, isLast: index == model.layerCount - 1, keepsTape: true,
        activations: { _, activations in
          if let move { ascent.keys[index] = gatherColumns(activations, move.indices) }
        },
        product: { rows in
          if let move, let keys = ascent.keys[index] {
            multiply(keys.all, move.delta.all, into: rows, accumulating: true)
          }
        })
      ascent.tapes[index] = tape
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

func gatherColumns(_ rows: Slice, _ columns: [Int]) -> Matrix {
  let result = Matrix(rows: rows.rows, columns: columns.count)
  for (position, column) in columns.enumerated() {
    result.all.columns(position, count: 1).copy(from: rows.columns(column, count: 1))
  }
  return result
}
