import BERT
import Kernels

/// How much each neuron contributes to the probability of a prompt's answer.
public struct AttributionScores: Sendable {
  /// Number of layers.
  public let layers: Int
  /// Neurons per layer.
  public let neurons: Int
  /// The scores, `[layers, neurons]`, layer after layer.
  public let values: [Float]
  /// How far each score may be off, by estimate, in the order of ``values``; empty where a rule is taken as it is.
  public let errors: [Float]

  /// Scores given layer after layer.
  ///
  /// - Precondition: there are `layers · neurons` values, and as many errors or none.
  public init(layers: Int, neurons: Int, values: [Float], errors: [Float] = []) {
    precondition(values.count == layers * neurons && (errors.isEmpty || errors.count == values.count))
    self.layers = layers
    self.neurons = neurons
    self.values = values
    self.errors = errors
  }

  /// The paper's threshold for attributions, as a share of the prompt's largest.
  public static let coarseRatio = 0.2
  /// The threshold for the baseline.
  public static let baselineRatio = 0.5

  /// By what share of the threshold the adaptive rule's scores near it may be off, by estimate: three quarters of the 1 % in
  /// which coarse sets may differ from the exact integral's.
  public static let tolerance = 0.0075
  /// The same where a fact has few prompts, so that its refined set hangs on many scores in doubt.
  package static let toleranceOfFewPrompts = 0.0015

  /// The sum of scores of one model by one rule: those of an answer's word pieces add up to the answer's, and so do errors.
  ///
  /// - Precondition: there is at least one.
  public init(sumOf parts: [AttributionScores]) {
    var (values, errors) = (parts[0].values, parts[0].errors)
    for part in parts.dropFirst() {
      for index in values.indices { values[index] += part.values[index] }
      for index in errors.indices { errors[index] += part.errors[index] }
    }
    self.init(layers: parts[0].layers, neurons: parts[0].neurons, values: values, errors: errors)
  }

  /// The largest score over all layers.
  public var largest: Float { values.max() ?? 0 }
}

extension BERT {
  /// Attribution of every neuron for each target: activation times the integrated gradient along the path from zero.
  ///
  /// Dai et al 2022, section 3.2.
  /// - Parameters:
  ///   - targets: Prompts with the answers whose probability is attributed.
  ///   - rule: How the integral is approximated.
  ///   - layers: Per target, the layers whose scores are wanted, those of the others being zero; all where nil. The adaptive
  ///     rule, whose threshold hangs on all layers, takes them all.
  ///   - tolerance: By what share of the threshold the adaptive rule's scores near it may be off, by estimate.
  ///   - threads: Threads to use.
  ///   - memory: Bytes that may be used beside the weights. The adaptive rule rounds weights to bfloat16 where the CPU
  ///     multiplies it, for prompts that are not long, and where this is at most half of `memory`; these bytes come on top.
  public func attributions(
    _ targets: [AttributionTarget], rule: AttributionRule, layers: [Set<Int>]? = nil,
    tolerance: Double = AttributionScores.tolerance, threads: ThreadCount = .allCores, memory: Int = 1 << 30
  ) -> [AttributionScores] {
    /// Whether a prompt's points may be rounded: where the rounded weights, and traces for as many prompts as run at a time,
    /// do not take too much of the memory.
    func mayRound(_ target: AttributionTarget) -> Bool {
      rule == .adaptive && target.prompt.ids.count <= AdaptivePath.mostRoundedPieces
        && roundedWeightBytes <= memory / 2
        && min(threads.value, targets.count) * traceBytes(target, rounding: true) <= memory / 2
    }
    // Traced prompts may take half of the memory; what is left of it goes to their points. Beside its trace the adaptive rule
    // keeps about eight values a neuron.
    func bytes(_ target: AttributionTarget) -> Int {
      traceBytes(target, rounding: mayRound(target))
        + (rule == .adaptive ? 8 * 4 * layerCount * configuration.intermediateSize : 0)
    }
    var (start, end, traced) = (0, 0, 0)
    var result: [AttributionScores] = []
    while start < targets.count {
      let rounding = mayRound(targets[start])
      while end < targets.count, mayRound(targets[end]) == rounding,
        end == start || traced + bytes(targets[end]) <= memory / 2
      {
        traced += bytes(targets[end])
        end += 1
      }
      result += attributed(
        Array(targets[start..<end]), rule, layers.map { Array($0[start..<end]) }, tolerance, rounding: rounding,
        threads, memory: max(0, memory - traced))
      (start, traced) = (end, 0)
    }
    return result
  }

  private func attributed(
    _ targets: [AttributionTarget], _ rule: AttributionRule, _ layers: [Set<Int>]?, _ tolerance: Double, rounding: Bool,
    _ threads: ThreadCount, memory: Int
  ) -> [AttributionScores] {
    guard let (nodes, weights) = rule.points else {
      return adaptiveAttributions(targets, tolerance: tolerance, rounding: rounding, threads: threads, memory: memory)
    }
    let traced = trace(targets, endpoints: false, threads: threads, memory: memory)
    let points = targets.indices.flatMap { target in
      (0..<layerCount).filter { layers?[target].contains($0) ?? true }.flatMap { layer in
        zip(nodes, weights).map { WeightedPoint(target: target, layer: layer, alpha: $0, weight: $1) }
      }
    }
    let sums = pathSums(traced, points, threads: threads, memory: memory)
    return zip(traced.activations, sums).map { activations, sums in
      scores(zip(activations, sums.lazy.map(\.gradient).joined()).map { $0 * $1 })
    }
  }

  /// The paper's baseline: the activation itself in place of the attribution.
  public func baselineScores(_ prompts: [EncodedPrompt], threads: ThreadCount = .allCores) -> [AttributionScores] {
    activations(prompts, threads: threads).map { scores($0) }
  }

  func scores(_ values: [Float], errors: [Float] = []) -> AttributionScores {
    AttributionScores(layers: layerCount, neurons: configuration.intermediateSize, values: values, errors: errors)
  }

  var layerCount: Int { configuration.layerCount }
}
