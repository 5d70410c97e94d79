import Kernels

/// A prompt and the word piece whose probability is attributed.
public struct AttributionTarget: Sendable {
  /// The prompt.
  public let prompt: EncodedPrompt
  /// Word-piece id of the answer.
  public let answer: Int

  /// Attributes P(`answer`) at the prompt's `[MASK]`.
  public init(prompt: EncodedPrompt, answer: Int) {
    self.prompt = prompt
    self.answer = answer
  }

  /// The same, with where the prompt names `subject`.
  public func naming(_ subject: String, in model: MaskedLanguageModel) -> AttributionTarget {
    AttributionTarget(prompt: prompt.naming(model.subject(subject)), answer: answer)
  }
}

/// Which rows of a prompt follow when the activations of a layer at `[MASK]` are scaled.
public enum FollowingRows: Int, Sendable, Hashable, Comparable {
  /// That of `[MASK]` alone: every other stays in every layer what the model as it is makes of it, so that a point costs one
  /// row in place of a whole prompt.
  ///
  /// In the last two layers that changes nothing, because above the last but one only `[MASK]` asks; below, what is missing
  /// is what comes back through the other rows, and hardly depends on α.
  case mask
  /// All of them, as equation 3 of Dai et al (2022) has it.
  case prompt

  /// The first costs less.
  public static func < (a: FollowingRows, b: FollowingRows) -> Bool { a.rawValue < b.rawValue }
}

/// One point of one target's path in one layer: where the gradient is taken, and its weight in the sum.
public struct WeightedPoint: Sendable, Hashable {
  /// Index of the target.
  public let target: Int
  /// The scaled layer, from 0.
  public let layer: Int
  /// α, the scale of the layer's activations at `[MASK]`.
  public let alpha: Double
  /// The weight.
  public let weight: Double
  /// Which rows follow.
  public let following: FollowingRows

  /// The point `alpha` of a target's path in a layer.
  public init(target: Int, layer: Int, alpha: Double, weight: Double, following: FollowingRows = .prompt) {
    self.target = target
    self.layer = layer
    self.alpha = alpha
    self.weight = weight
    self.following = following
  }
}

/// Weighted sums over points of one layer's path.
public struct PathSum: Sendable {
  /// Σ weight · P(answer).
  public var probability = 0.0
  /// Σ weight · ∂P(answer)/∂w, `[intermediate]`.
  public var gradient: [Float]

  mutating func add(_ p: Double, _ values: [Float], times weight: Double) {
    probability += weight * p
    for index in gradient.indices { gradient[index] += Float(weight) * values[index] }
  }
}

/// Prompts after one forward pass, kept so that points of their paths can be taken again and again.
public struct TracedPrompts: Sendable {
  /// The prompts and answers.
  public let targets: [AttributionTarget]
  /// Activations after GELU at `[MASK]` of each target, `[layers · intermediate]`, layer after layer.
  public let activations: [[Float]]
  /// The point α = 1 of every layer's path, per target and layer; empty unless asked for.
  public let endpoints: [[PathSum]]
  /// The same when only `[MASK]` follows.
  public let maskEndpoints: [[PathSum]]
  /// Which targets went through which pass.
  let groups: [Range<Int>]
  let passes: [ForwardPass]
  /// What whole prompts may be multiplied with; nil for float32 alone.
  let rounded: RoundedWeights?

  /// Whether whole prompts may be taken with bfloat16 products.
  public var allowsRounding: Bool { rounded != nil }
}

extension BERT {
  /// Rows of a pass that keeps what its own way back needs, some 100 KB a row in a model of bert-base's size.
  private static let endpointRows = 256

  /// Runs the prompts once.
  ///
  /// - Parameters:
  ///   - targets: Prompts with their answers.
  ///   - endpoints: Whether to take the gradients at α = 1 as well, which costs one way back for all layers together.
  ///   - rounding: Whether points may be taken with bfloat16 products later, of whole prompts' rows but those of `[MASK]` and of
  ///     the decoder, and whether such rows come back from α = 1 through them; nothing comes of it where this CPU does not
  ///     multiply bfloat16.
  ///   - threads: Threads to use.
  ///   - memory: Bytes that may be used beside the weights and what the result keeps; with less, fewer prompts run at a time.
  public func trace(
    _ targets: [AttributionTarget], endpoints: Bool, rounding: Bool = false, threads: ThreadCount = .allCores,
    memory: Int = 1 << 30
  ) -> TracedPrompts {
    let rounded = rounding ? roundedWeights(threads: threads) : nil
    let total = targets.reduce(0) { $0 + $1.prompt.ids.count }
    let share = balancedRows(total, threads)
    let groups = packs(targets.map(\.prompt), rows: endpoints ? min(Self.endpointRows, share) : share)
    let largest = groups.map { traceWorkBytes(targets[$0].map(\.prompt.ids.count), endpoints: endpoints) }.max() ?? 0
    let results = concurrently(groups.count, threads: threads, atOnce: memory / max(1, largest)) { group in
      let own = targets[groups[group]]
      let pass = ForwardPass(
        self, own.map(\.prompt), tracing: endpoints ? .pathAndEndpoint : .path, recording: rounded != nil)
      guard endpoints else { return (pass, [[PathSum]](), [[PathSum]]()) }
      let ends = pass.takeEndpoint(self, own.map(\.answer), rounded: rounded)
      func sums(_ gradients: [Matrix]) -> [[PathSum]] {
        own.indices.map { target in
          let row = target - own.startIndex
          return gradients.map {
            PathSum(probability: Double(ends.probabilities[row]), gradient: $0.rows(row, count: 1).values)
          }
        }
      }
      return (pass, sums(ends.gradients), sums(ends.maskGradients))
    }
    return TracedPrompts(
      targets: targets,
      activations: zip(groups, results).flatMap { group, result in
        group.indices.map { target in
          result.0.activations.flatMap { $0.rows(target - group.lowerBound, count: 1).values }
        }
      }, endpoints: results.flatMap(\.1), maskEndpoints: results.flatMap(\.2), groups: groups,
      passes: results.map(\.0), rounded: rounded)
  }

  /// Sums P(answer) and ∂P(answer)/∂w over points of the targets' paths (Dai et al 2022, equation 3).
  ///
  /// - Parameters:
  ///   - traced: The prompts, traced.
  ///   - points: The points, in any order.
  ///   - rounding: Whether bfloat16 products may be used, if `traced` was made for them.
  ///   - threads: Threads to use; with the same number, results are the same bit for bit.
  ///   - memory: Bytes that all passes in flight may take beside the weights; longer passes are split.
  /// - Returns: Per target and layer, the sums over that layer's points; zeros where there are none.
  public func pathSums(
    _ traced: TracedPrompts, _ points: [WeightedPoint], rounding: Bool = false, threads: ThreadCount = .allCores,
    memory: Int = 1 << 30
  ) -> [[PathSum]] {
    let width = configuration.intermediateSize
    let plan = split(
      traced, points, rounding: rounding && traced.allowsRounding, threads: threads, memory: memory)
    let partial = concurrently(plan.passes.count, threads: threads, atOnce: plan.atOnce) { index in
      let (group, points) = plan.passes[index]
      let (probabilities, gradients) = take(traced, points, of: group, rounding: rounding)
      var sums: [(target: Int, layer: Int, sum: PathSum)] = []
      for (row, point) in points.enumerated() {
        if sums.last.map({ ($0.target, $0.layer) == (point.target, point.layer) }) != true {
          sums.append((point.target, point.layer, PathSum(gradient: Array(repeating: 0, count: width))))
        }
        let values = gradients.rows(row, count: 1).values
        sums[sums.count - 1].sum.add(Double(probabilities[row]), values, times: point.weight)
      }
      return sums
    }
    let none = PathSum(gradient: Array(repeating: 0, count: width))
    var totals = traced.targets.map { _ in Array(repeating: none, count: layerCount) }
    for (target, layer, sum) in partial.joined() {
      totals[target][layer].add(sum.probability, sum.gradient, times: 1)
    }
    return totals
  }

  /// P(answer) and ∂P(answer)/∂w at single points of the targets' paths.
  ///
  /// - Parameters:
  ///   - traced: The prompts, traced.
  ///   - points: The points, in any order; their weights play no part.
  ///   - rounding: Whether bfloat16 products may be used, if `traced` was made for them.
  ///   - threads: Threads to use; with the same number, results are the same bit for bit.
  ///   - memory: Bytes that all passes in flight may take beside the weights.
  /// - Returns: One sum, of that point alone, per point.
  public func pathPoints(
    _ traced: TracedPrompts, _ points: [WeightedPoint], rounding: Bool = false, threads: ThreadCount = .allCores,
    memory: Int = 1 << 30
  ) -> [PathSum] {
    let plan = split(
      traced, points, rounding: rounding && traced.allowsRounding, threads: threads, memory: memory)
    let found = concurrently(plan.passes.count, threads: threads, atOnce: plan.atOnce) { index in
      let (group, points) = plan.passes[index]
      let (probabilities, gradients) = take(traced, points, of: group, rounding: rounding)
      return points.indices.map {
        PathSum(probability: Double(probabilities[$0]), gradient: gradients.rows($0, count: 1).values)
      }
    }
    let sums = Dictionary(
      zip(plan.passes.flatMap(\.points), found.joined()), uniquingKeysWith: { first, _ in first })
    return points.compactMap { sums[$0] }
  }

  /// P(answer) and ∂P/∂w, `[points, intermediate]`, at points of one group's targets, sorted by layer, in one pass.
  private func take(
    _ traced: TracedPrompts, _ points: [WeightedPoint], of group: Int, rounding: Bool
  ) -> (probabilities: [Float], gradients: Matrix) {
    let (trace, targets) = (traced.passes[group], traced.groups[group])
    let own = points.map {
      PathPoint(
        prompt: $0.target - targets.lowerBound, layer: $0.layer, alpha: Float($0.alpha), following: $0.following)
    }
    let pass = PathPass(
      self, trace: trace, points: own, answers: traced.targets[targets].map(\.answer),
      rounded: rounding ? traced.rounded : nil)
    return (pass.probabilities, pass.gradients)
  }

  /// Cuts points into passes of one group each, sorted by layer, of which so many may run at once.
  ///
  /// A pass has up to ``packedRows`` rows in its widest layer, fewer where that leaves no work for a thread, and as many
  /// points as its share of `memory` holds, but at least one.
  private func split(
    _ traced: TracedPrompts, _ points: [WeightedPoint], rounding: Bool, threads: ThreadCount, memory: Int
  ) -> (passes: [(group: Int, points: [WeightedPoint])], atOnce: Int) {
    func rows(_ point: WeightedPoint) -> Int {
      point.layer < layerCount - 1 && point.following == .prompt ? traced.targets[point.target].prompt.ids.count : 1
    }
    let total = points.reduce(0) { $0 + rows($1) }
    let limit = balancedRows(total, threads)
    func bytes(_ point: WeightedPoint) -> Int {
      pathBytes(
        length: traced.targets[point.target].prompt.ids.count, layer: point.layer, following: point.following,
        rounding: rounding)
    }
    let largest = points.reduce(1) { max($0, bytes($1)) }
    let atOnce = max(1, min(threads.value, memory / largest))
    let share = memory / atOnce
    var passes: [(group: Int, points: [WeightedPoint])] = []
    for (group, range) in traced.groups.enumerated() {
      // Every pass takes points of low and of high layers, so that passes cost about the same.
      let own = points.filter { range.contains($0.target) }.sorted {
        ($0.target, $0.alpha, $0.layer, $0.following) < ($1.target, $1.alpha, $1.layer, $1.following)
      }
      var current: [WeightedPoint] = []
      var (used, taken) = (0, 0)
      for point in own {
        let cost = bytes(point)
        if !current.isEmpty, used + rows(point) / 2 > limit || taken + cost > share {
          passes.append((group, current))
          (current, used, taken) = ([], 0, 0)
        }
        current.append(point)
        used += rows(point)
        taken += cost
      }
      if !current.isEmpty { passes.append((group, current)) }
    }
    let sorted = passes.map { pass in
      (
        group: pass.group,
        points: pass.points.sorted {
          ($0.layer, $0.following, $0.target, $0.alpha) < ($1.layer, $1.following, $1.target, $1.alpha)
        }
      )
    }
    return (sorted, atOnce)
  }

  /// Bytes that the matrices and the decoder take when rounded, both ways; 0 where this CPU does not multiply bfloat16.
  public var roundedWeightBytes: Int {
    guard RoundedMatrix.isSupported else { return 0 }
    return 4
      * (0..<layerCount).reduce(weights.wordEmbeddings.count) { sum, layer in
        RoundedMatrix.matrices(of: layer, of: layerCount).reduce(sum) {
          $0 + $1.projection(of: weights.layers[layer]).weight.count
        }
      }
  }

  /// Bytes that a traced prompt keeps: input, queries, keys and values of every layer, and with `rounding` what goes into
  /// and comes out of its matrices and the decoder.
  ///
  /// What the way back from α = 1 needs beside them is gone when the trace is made.
  public func traceBytes(_ target: AttributionTarget, rounding: Bool) -> Int {
    let isRounded = rounding && RoundedMatrix.isSupported
    let products = isRounded ? 7 * hidden + 2 * configuration.intermediateSize : 0
    let decoded = isRounded ? hidden + configuration.vocabularySize : 0
    return 4 * (layerCount * target.prompt.ids.count * (4 * hidden + products) + decoded)
  }

  /// Bytes that tracing prompts of such lengths together takes besides what it keeps: what one layer works with and, with
  /// `endpoints`, what each layer needs for the way back.
  private func traceWorkBytes(_ lengths: [Int], endpoints: Bool) -> Int {
    let rows = lengths.reduce(0, +)
    let probabilities = configuration.headCount * lengths.reduce(0) { $0 + $1 * $1 }
    let intermediate = configuration.intermediateSize
    guard endpoints else { return 4 * (rows * (4 * hidden + intermediate) + probabilities) }
    let kept = rows * (2 * hidden + intermediate) + probabilities
    return 4 * ((layerCount - 1) * kept + rows * (9 * hidden + 2 * intermediate))
  }

  /// Bytes that one point takes in a pass: what each layer above keeps per row, what one layer works with on its way
  /// back, a rounded product, and the logits that there are at a time.
  ///
  /// Of a lone `[MASK]`, queries, keys and values are kept twice.
  private func pathBytes(length: Int, layer: Int, following: FollowingRows, rounding: Bool) -> Int {
    let above = max(0, layerCount - 1 - layer)
    let (rows, projections) = following == .mask ? (1, 6) : (length, 3)
    let kept =
      rows * ((2 + projections) * hidden + configuration.intermediateSize) + rows * configuration.headCount * length
    let roundedProduct = rounding ? rows * configuration.intermediateSize * 3 / 2 : 0
    let working =
      above > 0 ? rows * (7 * hidden + 2 * configuration.intermediateSize) + roundedProduct : 0
    // Rounded logits are kept of all pieces, of up to ``RoundedDecoder/mostRows`` points at a time.
    let pieces =
      rounding
      ? configuration.vocabularySize
      : MaskedLanguageHead.decodedPieces(vocabulary: configuration.vocabularySize, hidden: hidden)
    let ends = pieces + 2 * configuration.intermediateSize
    return 4 * (above * kept + working + ends)
  }
}
