import Foundation

/// The quadrature of the adaptive rule: where the gradient is taken on a layer's path, and how far off the sum may be.
///
/// A point of a path costs a pass of the whole prompt through all layers above. Two things make most of them unnecessary.
/// The point α = 1 is the model as it is, whose gradients with respect to every layer come from one way back. And what
/// bends along the path is nearly all in the row of `[MASK]`: of the gradient that is left when every other row stays what it
/// is, points cost one row each. So the gradient is taken apart into what comes through `[MASK]` alone, which is integrated
/// with four points, and what comes back through the other rows, for which α = 1 alone or 1/3 and 1 do. Where a score lies
/// nearer to the threshold than its error still, and that is more than is tolerated, the whole prompt gets twelve points.
package enum AdaptivePath {
  /// The whole prompt's paid point, which with α = 1 makes Radau's rule, exact to degree 2.
  package static let third = 1.0 / 3

  /// P(answer) at a point of a layer's path and its slope dP/dα, the sum of the layer's terms there.
  package typealias Course = (p: Double, slope: Double)

  /// Weights of 1/3 and of 1 in a layer.
  ///
  /// Every ∂P/∂w is P(1 − P) times the gradient of the log-odds ln(P / (1 − P)), and it is the first factor that bends
  /// most. The log-odds along the path are taken as Hermite's cubic through their values and slopes at the two points,
  /// their gradients as straight lines; the integral of the product is a sum of the two gradients with these weights.
  /// Where P(1 − P) is constant they are Radau's 3/4 and 1/4; so they are where P is so close to 1 that float32 has few
  /// digits of 1 − P.
  package static func twoWeights(low: Course, high: Course) -> (low: Double, high: Double) {
    let width = 1 - third
    let odds = [low, high].map { (value: log($0.p / (1 - $0.p)), slope: width * $0.slope / ($0.p * (1 - $0.p))) }
    guard low.p > 0, high.p > 0, max(low.p, high.p) < 0.999 else { return radau }
    var result = (low: 0.0, high: 0.0)
    for (alpha, weight) in zip(courseNodes.nodes, courseNodes.weights) {
      let t = (alpha - third) / width
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

  /// Radau's weights of 1/3 and of 1.
  static let radau = (low: 0.75, high: 0.25)

  /// Where the course of P is read for ``twoWeights(low:high:)``.
  private static let courseNodes = AttributionRule.gaussLegendrePoints(12)

  /// The two nodes (2 ± √3)/5 that make the rule with 1/3 and 1 exact to degree 5, and all four weights.
  package static let four = (
    alphas: [(2 - 3.0.squareRoot()) / 5, (2 + 3.0.squareRoot()) / 5],
    weights: [0.151_438_915_092_890_14, 0.382_749_119_095_144_05],
    thirdWeight: 81.0 / 208, endWeight: 11.0 / 144
  )

  /// Number of Gauss and Legendre's points of the whole prompt, exact to degree 23, where all else leaves doubt.
  static let mostPoints = 12

  /// The least estimated error of points of `[MASK]`, with and without whole points, as a share of the threshold: what rounding to
  /// bfloat16 may take off.
  package static let leastError = 0.0003

  /// How many times its gradient at α = 1 a layer's largest score may be, at most.
  static let reach = 3.0

  /// How many times wider the doubt about two whole points is in a layer with so many layers above it: trained models bend
  /// most near the top, where points cost little.
  static func generosity(above: Int) -> Double { above > 2 ? 1 : 36 / Double((1 + above) * (1 + above)) }

  /// The bend that is reckoned with before any point is known.
  static let usualBend = 0.25

  /// What points of `[MASK]` cost by their arithmetic: passes of so few rows reach less than half of the speed.
  static let fewRowsCost = 2.5

  /// Word pieces of the longest prompts whose points are rounded; longer ones ask for so few whole points that keeping what
  /// these start from costs more.
  static let mostRoundedPieces = 128

  /// What a whole prompt costs in a layer, by what a row of it costs in float32: bfloat16 products run twice as fast, and of
  /// `[MASK]` there is an exact one besides.
  static func promptCost(pieces: Int, rounding: Bool) -> Double {
    rounding ? Double(pieces) / 2 + 1 : Double(pieces)
  }

  /// How much a layer's gradients bend between two points: k, if the integrand were e^(kα).
  ///
  /// For that the terms at 1/3 and at 1 differ by 2·tanh(k/3) of their mean. The difference is taken over the whole
  /// layer, so that single neurons whose terms happen to agree do not deceive.
  static func bend(_ low: [Float], _ high: [Float]) -> Double {
    var (difference, sum) = (Float(0), Float(0))
    for (a, b) in zip(low, high) {
      difference += (b - a) * (b - a)
      sum += (a + b) * (a + b)
    }
    return sum > 0 ? 3 * atanh(min(0.99, Double(difference / sum).squareRoot())) : .infinity
  }

  /// The part of a layer's gradient at α = 1 that comes back through other rows.
  static func foreignShare(whole: [Float], mask: [Float]) -> Double {
    var (difference, sum) = (Float(0), Float(0))
    for (a, b) in zip(whole, mask) {
      difference += (a - b) * (a - b)
      sum += a * a
    }
    return sum > 0 ? Double(difference / sum).squareRoot() : .infinity
  }

  /// Estimated error of two whole points: `least` as a share of the threshold, or `relative` to the score, whichever is more.
  ///
  /// Errors grow with k²: measured near the threshold, their root mean square in the median layer is 0.007 k² in a trained
  /// model and 0.017 k² in a random one. 998 in 1000 of a random model's are smaller than this.
  static func twoError(bend k: Double, above: Int) -> (least: Double, relative: Double) {
    (generosity(above: above) * 0.0045, generosity(above: above) * 0.03 * k * k)
  }

  /// Estimated relative error of four points of `[MASK]` and α = 1 of the other rows: four times the root mean square that
  /// was measured near the threshold, 0.6 to 0.7 r·k in trained and random models alike.
  static func maskError(foreignShare r: Double, bend k: Double) -> Double { 2.8 * r * k }

  /// Estimated relative error of four points of `[MASK]` and 1/3 and 1 of the other rows: 95 in 100 of a random model's errors
  /// near the threshold are smaller.
  static func bothError(foreignShare r: Double, bend k: Double) -> Double { 0.014 * r * k }

  /// Estimated relative error of four points, from their relative difference to two.
  ///
  /// For e^(kα) Radau's rule misses by k³/216 and four points by about k⁶/10⁶, a twentieth of the square; four times that.
  static func fourError(_ difference: Double) -> Double { difference * difference / 5 }
}
