import Foundation

/// How the integral of Dai et al 2022, equation 3, is approximated: where on the path the gradient is taken.
///
/// A number of steps must be positive; ``init(name:steps:)`` refuses others.
public enum AttributionRule: Sendable, Hashable {
  /// The paper's sum: α = k/m, k = 1…m (equation 4).
  case riemann(steps: Int)
  /// The sum of the authors' published code: α = k/m, k = 0…m−1.
  case leftRiemann(steps: Int)
  /// Gauss-Legendre quadrature, which reaches the integral itself with few nodes.
  case gaussLegendre(steps: Int)
  /// As few points as the coarse set needs, layer by layer; see ``AdaptivePath``.
  case adaptive

  /// The paper's number of points.
  public static let publishedSteps = 20

  /// What settles scores that the adaptive rule leaves in doubt: a random model's are then off by float32's rounding alone.
  package static let settling = gaussLegendre(steps: 4)

  /// The names by which users choose a rule.
  public static let names = ["adaptive", "riemann", "left-riemann", "gauss-legendre"]

  /// The rule of that name; nil for an unknown name or fewer than one step.
  public init?(name: String, steps: Int) {
    guard steps > 0 else { return nil }
    switch name {
    case "adaptive": self = .adaptive
    case "riemann": self = .riemann(steps: steps)
    case "left-riemann": self = .leftRiemann(steps: steps)
    case "gauss-legendre": self = .gaussLegendre(steps: steps)
    default: return nil
    }
  }

  /// The rule's name, one of ``names``.
  public var name: String {
    switch self {
    case .adaptive: "adaptive"
    case .riemann: "riemann"
    case .leftRiemann: "left-riemann"
    case .gaussLegendre: "gauss-legendre"
    }
  }

  /// Number of points on the path; 0 where it depends on the prompt.
  public var steps: Int {
    switch self {
    case .adaptive: 0
    case .riemann(let steps), .leftRiemann(let steps), .gaussLegendre(let steps): steps
    }
  }

  /// The values of α and their weights, which sum to 1; nil where they depend on the prompt.
  ///
  /// - Precondition: ``steps`` is positive.
  public var points: (nodes: [Double], weights: [Double])? {
    precondition(self == .adaptive || steps > 0, "a rule needs a positive number of steps")
    let m = Double(steps)
    let equal = Array(repeating: 1 / m, count: steps)
    switch self {
    case .adaptive: return nil
    case .riemann: return ((1...steps).map { Double($0) / m }, equal)
    case .leftRiemann: return ((0..<steps).map { Double($0) / m }, equal)
    case .gaussLegendre: return Self.gaussLegendrePoints(steps)
    }
  }

  /// Nodes and weights on [0, 1]: roots of the Legendre polynomial by Newton's method from Chebyshev's guess.
  static func gaussLegendrePoints(_ count: Int) -> (nodes: [Double], weights: [Double]) {
    var nodes: [Double] = []
    var weights: [Double] = []
    let n = Double(count)
    for index in stride(from: count, through: 1, by: -1) {
      var x = cos(.pi * (Double(index) - 0.25) / (n + 0.5))
      var slope = 0.0
      for _ in 0..<100 {
        var (previous, value) = (1.0, x)
        for k in stride(from: 2.0, through: n, by: 1) {
          (previous, value) = (value, ((2 * k - 1) * x * value - (k - 1) * previous) / k)
        }
        slope = n * (x * value - previous) / (x * x - 1)
        let step = value / slope
        x -= step
        if abs(step) < 1e-15 { break }
      }
      nodes.append((x + 1) / 2)
      weights.append(1 / ((1 - x * x) * slope * slope))
    }
    return (nodes, weights)
  }
}
