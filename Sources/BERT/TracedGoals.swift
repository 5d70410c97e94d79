import Kernels

/// Where in a prompt neurons are looked at.
public enum PromptPosition: Sendable, Hashable {
  /// At the `[MASK]` asked for.
  case mask
  /// At the subject's last word piece, or at `[MASK]` where that is not known.
  case subject
  /// At some word piece but the first and the last, with each goal the next one; now and then it is one of the above.
  case elsewhere
}

/// Which word pieces of a prompt follow when value slots change.
///
/// The others stay in every layer what the model as it is makes of them.
public enum FollowedPieces: String, Sendable, Hashable, Codable, CaseIterable {
  /// All of them, which is exact.
  case all
  /// `[MASK]` and, where it is known, the subject's last word piece: the two at which changes are made and read.
  case edited
}

/// Goals whose prompts have run once up to the feed-forward product of a layer, from which on value slots may change.
public struct TracedGoals: Sendable {
  /// The model, with its slots as they are.
  public let model: BERT
  /// Prompts and what they should give.
  public let goals: [OutputGoal]
  /// The lowest layer whose slots may change.
  public let lowestLayer: Int
  /// Which word pieces follow a change.
  public let following: FollowedPieces
  /// Threads to use; with the same number, results are the same bit for bit.
  public let threads: ThreadCount

  let groups: [Range<Int>]
  private(set) var stages: [Stage]

  /// Runs the goals' prompts.
  ///
  /// - Parameters:
  ///   - lowestLayer: The lowest layer whose slots may change, looked at in whole prompts.
  ///   - wholeLayers: Further layers that can be looked at in whole prompts, above it and below the last.
  ///   - following: Which word pieces follow a change.
  /// - Complexity: memory for the activations of every word piece in each of these layers, and unless all follow for keys and
  ///   values of every word piece in the layers above the lowest.
  public init(
    _ model: BERT, _ goals: [OutputGoal], from lowestLayer: Int, wholeLayers: [Int] = [],
    following: FollowedPieces = .all, threads: ThreadCount = .allCores
  ) {
    precondition((0..<model.layerCount).contains(lowestLayer))
    precondition(wholeLayers.allSatisfy { (lowestLayer..<model.layerCount - 1).contains($0) })
    self.model = model
    self.goals = goals
    self.lowestLayer = lowestLayer
    self.following = following
    self.threads = threads
    let total = goals.reduce(0) { $0 + $1.prompt.ids.count }
    let groups = model.packs(goals.map(\.prompt), rows: model.balancedRows(total, threads))
    self.groups = groups
    stages = concurrently(groups.count, threads: threads) { group in
      Stage(model, goals[groups[group]].map(\.prompt), lowest: lowestLayer, whole: wholeLayers, following: following)
    }
  }

  /// The same without ``activations(of:goals:at:)`` and ``responses(of:neurons:goals:at:)``, most of what it holds.
  var withoutActivations: TracedGoals {
    var result = self
    result.stages = stages.map(\.withoutActivations)
    return result
  }

  /// The goals that nothing should change, which come last.
  public var neighbours: Range<Int> {
    let first = goals.lastIndex { !$0.wantsNoChange }.map { $0 + 1 } ?? 0
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

  /// Some of the goals, with their weights multiplied, to be optimised with these word pieces following.
  public func keeping(_ positions: [(goal: Int, factor: Double)], following: FollowedPieces) -> TracedGoals {
    let isAll = positions.map(\.goal) == Array(goals.indices) && positions.allSatisfy { $0.factor == 1 }
    if isAll, following == self.following { return self }
    return TracedGoals(
      model,
      positions.map {
        let goal = goals[$0.goal]
        return OutputGoal(
          prompt: goal.prompt, wanted: goal.wanted, weight: goal.weight * $0.factor,
          isAboutEditedSubject: goal.isAboutEditedSubject, relation: goal.relation)
      }, from: lowestLayer, following: following, threads: threads)
  }

  /// Activations at one position, a row for each of the goals `range` with a value for each neuron.
  ///
  /// - Parameters:
  ///   - neurons: Layer and index of each. Other positions than `[MASK]` are known of whole layers only: the lowest, unless
  ///     it is the model's last, and those that ``init(_:_:from:wholeLayers:following:threads:)`` was given.
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
