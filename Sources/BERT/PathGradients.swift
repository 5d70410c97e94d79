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
}

/// A prompt's activations at `[MASK]` and the weighted mean of their gradients along the path, for every layer.
public struct PathIntegral: Sendable {
  /// Activations after GELU, `[layers · intermediate]`, layer after layer.
  public let activations: [Float]
  /// Σ weight · ∂P/∂w over the points of each layer's path, same layout.
  public let gradients: [Float]
}

extension BERT {
  /// Integrates ∂P(answer)/∂w over α for each layer of each target (Dai et al 2022, equation 3).
  ///
  /// - Parameters:
  ///   - targets: Prompts with their answers.
  ///   - nodes: The values of α, the same for every layer.
  ///   - weights: Their weights.
  ///   - threads: Threads to use. How the work is cut up does not depend on it.
  ///   - memory: Bytes that all passes in flight may take beside the weights; longer passes are split.
  /// - Returns: One integral per target, in order.
  public func pathIntegrals(
    _ targets: [AttributionTarget], nodes: [Double], weights: [Double], threads: ThreadCount = .allCores,
    memory: Int = 1 << 30
  ) -> [PathIntegral] {
    precondition(nodes.count == weights.count)
    let groups = packs(targets.map(\.prompt))
    let traces = concurrently(groups.count, threads: threads) { group in
      ForwardPass(self, targets[groups[group]].map(\.prompt), tracing: true)
    }
    var passes: [(group: Int, points: [(point: PathPoint, weight: Double)])] = []
    for (group, range) in groups.enumerated() {
      passes += split(
        targets[range].map(\.prompt.ids.count), nodes: nodes, weights: weights, memory: memory / threads.value
      ).map { (group, $0) }
    }
    let plan = passes
    let width = configuration.intermediateSize
    let partial = concurrently(plan.count, threads: threads) { index in
      let (group, points) = plan[index]
      let pass = PathPass(
        self, trace: traces[group], points: points.map(\.point), answers: targets[groups[group]].map(\.answer))
      var sums: [PartialSum] = []
      for (row, entry) in points.enumerated() {
        let key = (entry.point.prompt, entry.point.layer)
        if sums.last.map({ ($0.prompt, $0.layer) == key }) != true {
          sums.append(PartialSum(prompt: key.0, layer: key.1, values: Array(repeating: 0, count: width)))
        }
        let values = pass.gradients.rows(row, count: 1).values
        for index in 0..<width { sums[sums.count - 1].values[index] += Float(entry.weight) * values[index] }
      }
      return sums
    }
    var totals = targets.map { _ in [Float](repeating: 0, count: layerCount * width) }
    for (pass, sums) in zip(plan, partial) {
      for sum in sums {
        let target = groups[pass.group].lowerBound + sum.prompt
        for index in 0..<width { totals[target][sum.layer * width + index] += sum.values[index] }
      }
    }
    return groups.indices.flatMap { group in
      groups[group].map { target in
        let row = target - groups[group].lowerBound
        return PathIntegral(
          activations: traces[group].activations.flatMap { $0.rows(row, count: 1).values },
          gradients: totals[target])
      }
    }
  }

  private struct PartialSum {
    let prompt: Int
    let layer: Int
    var values: [Float]
  }

  /// Cuts the points of a group's prompts into passes, each sorted by layer.
  ///
  /// A pass has up to ``packedRows`` rows in its widest layer, and as many points as `memory` holds, but at least one.
  private func split(
    _ lengths: [Int], nodes: [Double], weights: [Double], memory: Int
  ) -> [[(point: PathPoint, weight: Double)]] {
    var passes: [[(point: PathPoint, weight: Double)]] = []
    var current: [(point: PathPoint, weight: Double)] = []
    var rows = 0
    var bytes = 0
    for (prompt, length) in lengths.enumerated() {
      for (node, weight) in zip(nodes, weights) {
        for layer in 0..<layerCount {
          let cost = pathBytes(length: length, layer: layer)
          let widens = layer < layerCount - 1 ? length : 0
          if !current.isEmpty, rows + widens > Self.packedRows || bytes + cost > memory {
            passes.append(current)
            current = []
            rows = 0
            bytes = 0
          }
          current.append((PathPoint(prompt: prompt, layer: layer, alpha: Float(node)), weight))
          rows += widens
          bytes += cost
        }
      }
    }
    if !current.isEmpty { passes.append(current) }
    return passes.map { pass in
      pass.sorted {
        ($0.point.layer, $0.point.prompt, $0.point.alpha) < ($1.point.layer, $1.point.prompt, $1.point.alpha)
      }
    }
  }

  /// Bytes that one point takes in a pass: what each layer above keeps per row, and the logits.
  private func pathBytes(length: Int, layer: Int) -> Int {
    let above = max(0, layerCount - 1 - layer)
    let perRow = 6 * hidden + configuration.intermediateSize + configuration.headCount * length
    return 4 * (above * length * perRow + 2 * configuration.vocabularySize + 2 * configuration.intermediateSize)
  }
}
