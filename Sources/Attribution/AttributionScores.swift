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

  /// Scores given layer after layer.
  ///
  /// - Precondition: there are `layers · neurons` values.
  public init(layers: Int, neurons: Int, values: [Float]) {
    precondition(values.count == layers * neurons)
    self.layers = layers
    self.neurons = neurons
    self.values = values
  }

  /// The largest score over all layers.
  public var largest: Float { values.max() ?? 0 }
}

extension BERT {
  /// Attribution of every neuron for each target: activation times the integrated gradient along the path from zero
  /// (Dai et al 2022, section 3.2).
  ///
  /// - Parameters:
  ///   - targets: Prompts with the answers whose probability is attributed.
  ///   - rule: The points on the path.
  ///   - threads: Threads to use.
  ///   - memory: Bytes that may be used beside the weights.
  public func attributions(
    _ targets: [AttributionTarget], rule: AttributionRule, threads: ThreadCount = .allCores, memory: Int = 1 << 30
  ) -> [AttributionScores] {
    let points = rule.points
    return pathIntegrals(
      targets, nodes: points.nodes, weights: points.weights, threads: threads, memory: memory
    ).map { integral in
      AttributionScores(
        layers: configuration.layerCount, neurons: configuration.intermediateSize,
        values: zip(integral.activations, integral.gradients).map { $0 * $1 })
    }
  }

  /// The paper's baseline: the activation itself in place of the attribution.
  public func baselineScores(_ prompts: [EncodedPrompt], threads: ThreadCount = .allCores) -> [AttributionScores] {
    activations(prompts, threads: threads).map {
      AttributionScores(layers: configuration.layerCount, neurons: configuration.intermediateSize, values: $0)
    }
  }
}
