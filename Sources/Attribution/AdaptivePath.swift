import BERT
import Foundation
import Kernels

/// The quadrature of the adaptive rule: three nested stages, each taken only where the one before leaves doubt.
///
/// 1. Two points. α = 1 is the model as it is, whose gradients with respect to every layer come from one way back; with
///    α = 1/3 that is Radau's rule, exact to degree 2.
/// 2. Two more, chosen so that the four together are exact to degree 5.
/// 3. Gauss and Legendre's twelve, exact to degree 23.
///
/// A layer stays in doubt while the estimated error of one of its scores could carry that score over the coarse
/// threshold. The layer of the largest score, which sets the threshold, always takes the second stage.
enum AdaptivePath {
  /// The paid point of stage 1, its weight and that of α = 1.
  static let first = (alpha: 1.0 / 3, weight: 0.75, endWeight: 0.25)

  /// Stage 2: the two nodes (2 ± √3)/5 that make the rule with 1/3 and 1 exact to degree 5, and all four weights.
  static let second = (
    alphas: [(2 - 3.0.squareRoot()) / 5, (2 + 3.0.squareRoot()) / 5],
    weights: [0.151_438_915_092_890_14, 0.382_749_119_095_144_05],
    firstWeight: 81.0 / 208, endWeight: 11.0 / 144
  )

  /// Number of points of stage 3.
  static let thirdCount = 12

  /// Scores closer to the threshold than this share of it are in doubt whatever the estimate says.
  static let leastMargin = 0.01
  /// Estimates of the error are multiplied by this.
  static let caution = 4.0

  /// Estimated relative error of stage 1 in a layer, from what P does between 1/3 and 1.
  ///
  /// dP/dα is the sum of all terms of the layer, so its integral from 1/3 to 1 is known: what the trapezoid of its two
  /// values misses is a curvature, hence its power 1.5 stands for the third derivative that Radau's rule misses.
  static func pathError(low: (p: Double, slope: Double), high: (p: Double, slope: Double)) -> Double {
    let missed = abs(high.p - low.p - (low.slope + high.slope) / 3)
    let size = (abs(low.slope) + abs(high.slope)) / 3
    return size > 0 ? pow(missed / size, 1.5) : .infinity
  }

  /// Estimated relative error of stage 1 in a layer, from all its scores' terms at 1/3 and at 1.
  ///
  /// For an integrand e^(kα) the two terms differ by 2·tanh(k/3) of their mean, and Radau's two points miss by k³/216.
  /// The difference is taken over the whole layer, so that single neurons whose terms happen to agree do not deceive.
  static func firstError(_ low: ArraySlice<Float>, _ high: ArraySlice<Float>) -> Double {
    var (difference, mean) = (0.0, 0.0)
    for (a, b) in zip(low, high) {
      difference += Double((b - a) * (b - a))
      mean += Double((a + b) * (a + b)) / 4
    }
    guard mean > 0 else { return .infinity }
    let k = 3 * atanh(min(0.99, (difference / mean).squareRoot() / 2))
    return k * k * k / 216
  }

  /// Estimated relative error of stage 2, from its relative difference to stage 1.
  ///
  /// In the same model stage 1 misses by k³/216 and stage 2 by about k⁶/10⁶, a twentieth of the square.
  static func secondError(_ difference: Double) -> Double { difference * difference / 20 }
}

/// Scores of the adaptive rule and how much work they took.
public struct AdaptiveAttributions: Sendable {
  /// Per target.
  public let scores: [AttributionScores]
  /// Layers, over all targets, that took stage 2.
  public let secondStages: Int
  /// Layers, over all targets, that took stage 3.
  public let thirdStages: Int
}

extension BERT {
  /// Attributions whose coarse set is that of the exact integral, with as few points as that takes.
  ///
  /// Scores far from the coarse threshold are less exact than those near it.
  public func adaptiveAttributions(
    _ targets: [AttributionTarget], threads: ThreadCount = .allCores, memory: Int = 1 << 30
  ) -> AdaptiveAttributions {
    let traced = trace(targets, endpoints: true, threads: threads)
    let width = configuration.intermediateSize
    func layerRange(_ layer: Int) -> Range<Int> { layer * width..<(layer + 1) * width }
    func points(_ layers: [(target: Int, layer: Int)], _ alphas: [Double], _ weights: [Double]) -> [WeightedPoint] {
      layers.flatMap { entry in
        zip(alphas, weights).map {
          WeightedPoint(target: entry.target, layer: entry.layer, alpha: $0, weight: $1)
        }
      }
    }

    let all = targets.indices.flatMap { target in (0..<layerCount).map { (target: target, layer: $0) } }
    let first = pathSums(traced, points(all, [AdaptivePath.first.alpha], [1]), threads: threads, memory: memory)
    /// Activations times gradients at 1/3 and at 1, `[layers · intermediate]`.
    func terms(_ gradients: [PathSum], _ target: Int) -> [Float] {
      zip(traced.activations[target], gradients.lazy.map(\.gradient).joined()).map { $0 * $1 }
    }
    let low = targets.indices.map { terms(first[$0], $0) }
    let high = targets.indices.map { terms(traced.endpoints[$0], $0) }
    var values = zip(low, high).map { low, high in
      zip(low, high).map { Float(AdaptivePath.first.weight) * $0 + Float(AdaptivePath.first.endWeight) * $1 }
    }

    func largest(_ target: Int) -> Int { values[target].indices.max { values[target][$0] < values[target][$1] } ?? 0 }
    let second = targets.indices.flatMap { target in
      let peak = largest(target)
      let threshold = AttributionScores.coarseRatio * Double(values[target][peak])
      return (0..<layerCount).filter { layer in
        let range = layerRange(layer)
        if range.contains(peak) { return true }
        func slope(_ terms: [Float]) -> Double { terms[range].reduce(0) { $0 + Double($1) } }
        let path = AdaptivePath.pathError(
          low: (first[target][layer].probability, slope(low[target])),
          high: (traced.endpoints[target][layer].probability, slope(high[target])))
        let error =
          AdaptivePath.caution * max(path, AdaptivePath.firstError(low[target][range], high[target][range]))
        return range.contains { index in
          let size = Double(max(abs(low[target][index]), abs(high[target][index])))
          return abs(Double(values[target][index]) - threshold)
            <= max(AdaptivePath.leastMargin * threshold, error * size)
        }
      }.map { (target: target, layer: $0) }
    }

    let more = pathSums(
      traced, points(second, AdaptivePath.second.alphas, AdaptivePath.second.weights), threads: threads, memory: memory)
    var differences: [Int: [Float]] = [:]
    for (target, layer) in second {
      for (index, extra) in zip(layerRange(layer), more[target][layer].gradient) {
        let score =
          traced.activations[target][index] * extra + Float(AdaptivePath.second.firstWeight) * low[target][index]
          + Float(AdaptivePath.second.endWeight) * high[target][index]
        differences[target * layerCount + layer, default: []].append(score - values[target][index])
        values[target][index] = score
      }
    }

    let third = second.filter { target, layer in
      let peak = largest(target)
      let threshold = AttributionScores.coarseRatio * Double(values[target][peak])
      guard threshold > 0, let changes = differences[target * layerCount + layer] else { return false }
      return layerRange(layer).contains { index in
        let score = Double(values[target][index])
        // The peak is compared with itself: an error of it shifts the threshold.
        let reference = index == peak ? score : threshold
        let relative = Double(abs(changes[index - layer * width])) / threshold
        let error = AdaptivePath.caution * AdaptivePath.secondError(relative) * threshold
        return index == peak ? error > AdaptivePath.leastMargin * reference : abs(score - threshold) <= error
      }
    }
    let (nodes, weights) = AttributionRule.gaussLegendrePoints(AdaptivePath.thirdCount)
    let whole = pathSums(traced, points(third, nodes, weights), threads: threads, memory: memory)
    for (target, layer) in third {
      for own in 0..<width {
        let index = layer * width + own
        values[target][index] = traced.activations[target][index] * whole[target][layer].gradient[own]
      }
    }
    return AdaptiveAttributions(scores: values.map(scores), secondStages: second.count, thirdStages: third.count)
  }
}
