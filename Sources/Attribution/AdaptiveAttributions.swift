import BERT
import Kernels

/// Scores of the adaptive rule and how much work they took.
public struct AdaptiveAttributions: Sendable {
  /// Per target.
  public let scores: [AttributionScores]
  /// Layers, over all targets, for which points of `[MASK]` alone were taken.
  public let maskLayers: Int
  /// Layers, over all targets, for which a point of the whole prompt was taken beside α = 1.
  public let wholeLayers: Int
  /// Layers, over all targets, for which many were.
  public let mostLayers: Int
}

extension BERT {
  /// Attributions whose coarse set is that of the exact integral, with as few points as that takes.
  ///
  /// Scores far from the coarse threshold are less exact than those near it. See ``AdaptivePath``.
  public func adaptiveAttributions(
    _ targets: [AttributionTarget], threads: ThreadCount = .allCores, memory: Int = 1 << 30
  ) -> AdaptiveAttributions {
    typealias Place = (target: Int, layer: Int)
    let traced = trace(targets, endpoints: true, threads: threads)
    let width = configuration.intermediateSize
    func terms(_ sum: PathSum, _ place: Place) -> AdaptiveLayer.Terms {
      let start = place.layer * width
      return AdaptiveLayer.Terms(sum, activations: traced.activations[place.target][start..<start + width])
    }
    var layers = targets.indices.map { target in
      (0..<layerCount).map { layer in
        AdaptiveLayer(
          end: terms(traced.endpoints[target][layer], (target, layer)),
          maskEnd: terms(traced.maskEndpoints[target][layer], (target, layer)),
          above: layerCount - 1 - layer, pieces: targets[target].prompt.ids.count,
          decoderCost: Double(configuration.vocabularySize) / Double(12 * configuration.hiddenSize))
      }
    }
    let (nodes, weights) = AttributionRule.gaussLegendrePoints(AdaptivePath.mostPoints)
    let four = AdaptivePath.four
    var (maskLayers, wholeLayers, mostLayers) = (0, 0, 0)
    while true {
      var needs: [AdaptiveLayer.Need: [Place]] = [:]
      for target in targets.indices {
        let (threshold, peak) = Self.threshold(layers[target])
        for (layer, state) in layers[target].enumerated() {
          let need = state.need(threshold: threshold, peak: peak.layer == layer ? peak.index : nil)
          if let need { needs[need, default: []].append((target, layer)) }
        }
      }
      if needs.isEmpty { break }
      func points(_ kind: AdaptiveLayer.Need, _ alphas: [Double], _ weights: [Double]) -> [WeightedPoint] {
        (needs[kind] ?? []).flatMap { place in
          zip(alphas, weights).map {
            WeightedPoint(target: place.target, layer: place.layer, alpha: $0, weight: $1)
          }
        }
      }
      let ofMask = maskPathPoints(
        traced, points(.mask, [AdaptivePath.third] + four.alphas, [1] + four.weights), threads: threads, memory: memory)
      for (position, place) in (needs[.mask] ?? []).enumerated() {
        let own = ofMask[3 * position..<3 * position + 3].map { terms($0, place).values }
        let middle = zip(own[1], own[2]).map { Float(four.weights[0]) * $0 + Float(four.weights[1]) * $1 }
        layers[place.target][place.layer].take(maskThird: terms(ofMask[3 * position], place), middle: middle)
      }
      let whole = pathSums(
        traced, points(.third, [AdaptivePath.third], [1]) + points(.most, nodes, weights), threads: threads,
        memory: memory)
      for place in needs[.third] ?? [] {
        layers[place.target][place.layer].take(third: terms(whole[place.target][place.layer], place))
      }
      for place in needs[.most] ?? [] {
        layers[place.target][place.layer].take(most: terms(whole[place.target][place.layer], place))
      }
      maskLayers += needs[.mask]?.count ?? 0
      wholeLayers += needs[.third]?.count ?? 0
      mostLayers += needs[.most]?.count ?? 0
    }
    return AdaptiveAttributions(
      scores: layers.map { scores($0.flatMap(\.scores)) }, maskLayers: maskLayers, wholeLayers: wholeLayers,
      mostLayers: mostLayers)
  }

  /// The coarse threshold by one prompt's scores so far, and where the largest lies.
  private static func threshold(_ layers: [AdaptiveLayer]) -> (threshold: Float, peak: (layer: Int, index: Int)) {
    var (largest, peak) = (-Float.infinity, (layer: 0, index: 0))
    for (layer, state) in layers.enumerated() {
      for (index, score) in state.scores.enumerated() where score > largest {
        (largest, peak) = (score, (layer, index))
      }
    }
    return (Float(AttributionScores.coarseRatio) * largest, peak)
  }
}
