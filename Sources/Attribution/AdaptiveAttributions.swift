import BERT
import Kernels

extension BERT {
  /// Attributions whose coarse set is that of the exact integral, with as few points as that takes.
  ///
  /// Scores far from the coarse threshold are less exact than those near it. See ``AdaptivePath``.
  func adaptiveAttributions(
    _ targets: [AttributionTarget], tolerance: Double, rounding: Bool, threads: ThreadCount, memory: Int
  ) -> [AttributionScores] {
    typealias Place = (target: Int, layer: Int)
    let traced = trace(targets, endpoints: true, rounding: rounding, threads: threads, memory: memory)
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
          above: layerCount - 1 - layer,
          promptCost: AdaptivePath.promptCost(
            pieces: targets[target].prompt.ids.count, rounding: traced.allowsRounding),
          decoderCost: Double(configuration.vocabularySize) / Double(12 * configuration.hiddenSize),
          tolerance: tolerance)
      }
    }
    let (nodes, weights) = AttributionRule.gaussLegendrePoints(AdaptivePath.mostPoints)
    let four = AdaptivePath.four
    while true {
      var needs: [AdaptiveLayer.Need: [Place]] = [:]
      for target in targets.indices {
        let (threshold, peak) = Self.threshold(layers[target])
        let nearest = layers[target].reduce(.infinity) { min($0, $1.distance(to: threshold)) }
        for (layer, state) in layers[target].enumerated() {
          let need = state.need(threshold: threshold, nearest: nearest, peak: peak.layer == layer ? peak.index : nil)
          if let need { needs[need, default: []].append((target, layer)) }
        }
      }
      if needs.isEmpty { break }
      func points(
        _ kind: AdaptiveLayer.Need, _ alphas: [Double], _ weights: [Double], _ following: FollowingRows
      ) -> [WeightedPoint] {
        (needs[kind] ?? []).flatMap { place in
          zip(alphas, weights).map {
            WeightedPoint(target: place.target, layer: place.layer, alpha: $0, weight: $1, following: following)
          }
        }
      }
      // Both kinds in the same passes, so that each weight matrix is read once for both.
      let found = pathPoints(
        traced,
        points(.mask, [AdaptivePath.third] + four.alphas, [1] + four.weights, .mask)
          + points(.third, [AdaptivePath.third], [1], .prompt),
        rounding: rounding, threads: threads, memory: memory)
      for (position, place) in (needs[.mask] ?? []).enumerated() {
        let own = found[3 * position..<3 * position + 3].map { terms($0, place) }
        let middle = zip(own[1].values, own[2].values).map {
          Float(four.weights[0]) * $0 + Float(four.weights[1]) * $1
        }
        layers[place.target][place.layer].take(maskThird: own[0], middle: middle)
      }
      for (sum, place) in zip(found.suffix(needs[.third]?.count ?? 0), needs[.third] ?? []) {
        layers[place.target][place.layer].take(third: terms(sum, place))
      }
      let most = pathSums(traced, points(.most, nodes, weights, .prompt), threads: threads, memory: memory)
      for place in needs[.most] ?? [] {
        layers[place.target][place.layer].take(most: terms(most[place.target][place.layer], place))
      }
    }
    return layers.map { states in
      let threshold = Self.threshold(states).threshold
      return scores(states.flatMap(\.scores), errors: states.flatMap { $0.errors(threshold: threshold) })
    }
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
