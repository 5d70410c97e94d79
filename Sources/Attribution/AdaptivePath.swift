import BERT
import Foundation
import Kernels

/// The quadrature of the adaptive rule: three nested stages, each taken only where the one before leaves doubt.
///
/// 1. Two points. α = 1 is the model as it is, whose gradients with respect to every layer come from one way back; with
///    α = 1/3 that is Radau's rule, exact to degree 2, here with weights that follow the softmax.
/// 2. Two more, chosen so that the four together are exact to degree 5.
/// 3. Gauss and Legendre's twelve, exact to degree 23.
///
/// A layer stays in doubt while the estimated error of one of its scores could carry that score over the coarse
/// threshold. The layer of the largest score, which sets the threshold, always takes the second stage.
package enum AdaptivePath {
  /// The paid point of stage 1.
  package static let firstAlpha = 1.0 / 3

  /// P(answer) at a point of a layer's path and its slope dP/dα, the sum of the layer's terms there.
  package typealias Course = (p: Double, slope: Double)

  /// Stage 1's weights of 1/3 and of 1 in a layer.
  ///
  /// Every ∂P/∂w is P(1 − P) times the gradient of the log-odds ln(P / (1 − P)), and it is the first factor that bends
  /// most. The log-odds along the path are taken as Hermite's cubic through their values and slopes at the two points,
  /// their gradients as straight lines; the integral of the product is a sum of the two gradients with these weights.
  /// Where P(1 − P) is constant they are Radau's 3/4 and 1/4; so they are where P is so close to 1 that float32 has few
  /// digits of 1 − P.
  package static func firstWeights(low: Course, high: Course) -> (low: Double, high: Double) {
    let width = 1 - firstAlpha
    let odds = [low, high].map { (value: log($0.p / (1 - $0.p)), slope: width * $0.slope / ($0.p * (1 - $0.p))) }
    guard low.p > 0, high.p > 0, max(low.p, high.p) < 0.999 else { return (0.75, 0.25) }
    var result = (low: 0.0, high: 0.0)
    for (alpha, weight) in zip(courseNodes.nodes, courseNodes.weights) {
      let t = (alpha - firstAlpha) / width
      let bend = t * t * (3 - 2 * t)
      let value =
        (1 - bend) * odds[0].value + bend * odds[1].value + t * (1 - t) * ((1 - t) * odds[0].slope - t * odds[1].slope)
      /// 1 / (P(1 − P)).
      func inverse(_ value: Double) -> Double { 2 + exp(value) + exp(-value) }
      result.low += weight * (1 - t) * inverse(odds[0].value) / inverse(value)
      result.high += weight * t * inverse(odds[1].value) / inverse(value)
    }
    return result
  }

  /// Where the course of P is read for ``firstWeights(low:high:)``.
  private static let courseNodes = AttributionRule.gaussLegendrePoints(12)

  /// Stage 2: the two nodes (2 ± √3)/5 that make the rule with 1/3 and 1 exact to degree 5, and all four weights.
  static let second = (
    alphas: [(2 - 3.0.squareRoot()) / 5, (2 + 3.0.squareRoot()) / 5],
    weights: [0.151_438_915_092_890_14, 0.382_749_119_095_144_05],
    firstWeight: 81.0 / 208, endWeight: 11.0 / 144
  )

  /// Number of points of stage 3.
  static let thirdCount = 12

  /// Scores closer to the threshold than this share of it are in doubt whatever the estimate says.
  static let leastMargin = 0.002

  /// How many times wider doubt is in a layer with so many layers above it: near the top points cost little.
  static func generosity(above: Int) -> Double { max(1, 36 / Double((1 + above) * (1 + above))) }

  /// Estimated relative error of stage 1 in a layer, from all its scores' terms at 1/3 and at 1.
  ///
  /// For an integrand e^(kα) the two terms differ by 2·tanh(k/3) of their mean. The difference is taken over the whole
  /// layer, so that single neurons whose terms happen to agree do not deceive. Errors grow with k²: measured near the
  /// threshold, their root mean square in the median layer is 0.007 k² in a trained model and 0.013 k² in a random one.
  static func firstError(_ low: ArraySlice<Float>, _ high: ArraySlice<Float>) -> Double {
    var (difference, sum) = (Float(0), Float(0))
    for (a, b) in zip(low, high) {
      difference += (b - a) * (b - a)
      sum += (a + b) * (a + b)
    }
    guard sum > 0 else { return .infinity }
    let k = 3 * atanh(min(0.99, Double(difference / sum).squareRoot()))
    return 0.02 * k * k
  }

  /// Estimated relative error of stage 2, from its relative difference to stage 1.
  ///
  /// For e^(kα) Radau's rule misses by k³/216 and stage 2 by about k⁶/10⁶, a twentieth of the square; four times that.
  static func secondError(_ difference: Double) -> Double { difference * difference / 5 }
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
    let first = pathSums(traced, points(all, [AdaptivePath.firstAlpha], [1]), threads: threads, memory: memory)
    /// Activations times gradients at 1/3 and at 1, `[layers · intermediate]`.
    func terms(_ sums: [PathSum], _ target: Int) -> [Float] {
      var terms = traced.activations[target]
      for (layer, sum) in sums.enumerated() {
        for own in 0..<width { terms[layer * width + own] *= sum.gradient[own] }
      }
      return terms
    }
    let low = targets.indices.map { terms(first[$0], $0) }
    let high = targets.indices.map { terms(traced.endpoints[$0], $0) }
    var values = targets.indices.map { target in
      var values = low[target]
      for layer in 0..<layerCount {
        let range = layerRange(layer)
        func course(_ sum: PathSum, _ terms: [Float]) -> AdaptivePath.Course {
          (sum.probability, Double(terms[range].reduce(0, +)))
        }
        let weights = AdaptivePath.firstWeights(
          low: course(first[target][layer], low[target]), high: course(traced.endpoints[target][layer], high[target]))
        let (lowWeight, highWeight) = (Float(weights.low), Float(weights.high))
        for index in range { values[index] = lowWeight * values[index] + highWeight * high[target][index] }
      }
      return values
    }

    func largest(_ target: Int) -> Int { values[target].indices.max { values[target][$0] < values[target][$1] } ?? 0 }
    let second = targets.indices.flatMap { target in
      let peak = largest(target)
      let threshold = Float(AttributionScores.coarseRatio) * values[target][peak]
      let (low, high, values) = (low[target], high[target], values[target])
      return (0..<layerCount).filter { layer in
        let range = layerRange(layer)
        if range.contains(peak) { return true }
        let generosity = AdaptivePath.generosity(above: layerCount - 1 - layer)
        let error = Float(generosity * AdaptivePath.firstError(low[range], high[range]))
        let least = Float(generosity * AdaptivePath.leastMargin) * threshold
        return range.contains { abs(values[$0] - threshold) <= max(least, error * max(abs(low[$0]), abs(high[$0]))) }
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
        let error = AdaptivePath.secondError(relative) * threshold
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
