import Attribution
import BERT
import Checkpoint
import Foundation
import Kernels
import Testing

func exponential(_ x: Double) -> Double { exp(x) }

@Suite("Attribution")
struct AttributionTests {
  /// Share of the prompt's largest score: float32 gradients against double precision.
  static let tolerance = 5e-5

  private func worst(_ scores: AttributionScores, _ wanted: [[Double]]) -> Double {
    let flat = wanted.flatMap { $0 }
    let largest = flat.max() ?? 0
    return zip(scores.values, flat).map { abs(Double($0) - $1) / largest }.max() ?? .infinity
  }

  @Test("scores of every rule are those of automatic differentiation in double precision")
  func goldens() throws {
    let model = try Fixture.open()
    let goldens = try Golden.all()
    let targets = try goldens.map { AttributionTarget(prompt: try model.encode($0.text), answer: $0.answerId) }
    for (rule, wanted) in [
      (AttributionRule.riemann(steps: 20), \Golden.Attributions.right20),
      (.leftRiemann(steps: 20), \.left20), (.gaussLegendre(steps: 24), \.exact),
    ] {
      for (scores, golden) in zip(model.bert.attributions(targets, rule: rule), goldens) {
        #expect(worst(scores, golden.attributions[keyPath: wanted]) < Self.tolerance)
      }
    }
  }

  @Test("scores are those of the oracle, which knows finite differences only")
  func oracle() throws {
    let model = try Fixture.open()
    let slow = SlowBERT(weights: model.bert.weights, configuration: model.bert.configuration)
    let golden = try #require(try Golden.all().first)
    let rule = AttributionRule.riemann(steps: 3)
    let (nodes, weights) = try #require(rule.points)
    let scores = model.bert.attributions(
      [AttributionTarget(prompt: try model.encode(golden.text), answer: golden.answerId)], rule: rule)[0]
    for (layer, index) in [(0, 0), (0, 5), (0, 31), (1, 2), (1, 17)] {
      let wanted = slow.attribution(
        golden.ids, mask: golden.mask, answer: golden.answerId, layer: layer, index: index, nodes: nodes,
        weights: weights)
      #expect(abs(Double(scores.values[layer * 32 + index]) - wanted) < Self.tolerance * Double(scores.largest))
    }
  }

  @Test(
    "memory and threads change scores by rounding only, and a run is the same again bit for bit",
    arguments: [AttributionRule.riemann(steps: 5), .adaptive])
  func splitting(rule: AttributionRule) throws {
    let model = try Fixture.open()
    let targets = try Golden.all().map { AttributionTarget(prompt: try model.encode($0.text), answer: $0.answerId) }
    func run(_ threads: Int, _ memory: Int) -> [AttributionScores] {
      model.bert.attributions(targets, rule: rule, threads: ThreadCount(threads), memory: memory)
    }
    let whole = run(1, 1 << 30)
    for (threads, memory) in [(2, 1 << 30), (1, 1), (2, 1 << 16), (3, 1)] {
      let split = run(threads, memory)
      for (a, b) in zip(whole, split) {
        // Another order of the same float32 sums.
        #expect((zip(a.values, b.values).map { abs($0 - $1) }.max() ?? .infinity) <= 5e-5 * a.largest)
      }
      #expect(run(threads, memory).map(\.values) == split.map(\.values))
    }
  }

  private func targets() throws -> [AttributionTarget] {
    let model = try Fixture.open()
    return try Golden.all().map { AttributionTarget(prompt: try model.encode($0.text), answer: $0.answerId) }
  }

  /// The point `alpha` of every layer's path of every target.
  private func points(
    _ targets: [AttributionTarget], _ alpha: Double, following: FollowingRows = .prompt
  ) -> [WeightedPoint] {
    targets.indices.flatMap { target in
      (0..<4).map { WeightedPoint(target: target, layer: $0, alpha: alpha, weight: 1, following: following) }
    }
  }

  private func expectEqual(_ a: PathSum, _ b: PathSum, rounding: Bool = false) {
    #expect(abs(a.probability - b.probability) < 1e-6)
    let largest = b.gradient.map(abs).max() ?? 0
    // Two orders of the same float32 sums. Where these are rounded, some to the other neighbour, and of the rounded pieces' 2 % of
    // the decoder's softmax eight bits are left.
    for (a, b) in zip(a.gradient, b.gradient) { #expect(abs(a - b) <= (rounding ? 1e-3 : 5e-5) * largest) }
  }

  @Test("the way back from α = 1 gives every layer what a point at 1 of its path gives")
  func endpoints() throws {
    let (bert, targets) = (try Fixture.fourLayers(), try targets())
    let traced = bert.trace(targets, endpoints: true)
    for (ends, sums) in zip(traced.endpoints, bert.pathSums(traced, points(targets, 1))) {
      for (end, sum) in zip(ends, sums) { expectEqual(end, sum) }
    }
    for (end, point) in zip(
      traced.maskEndpoints.joined(), bert.pathPoints(traced, points(targets, 1, following: .mask)))
    {
      expectEqual(end, point)
    }
  }

  @Test("points of [MASK] alone are those of the oracle, which keeps all other rows as they were")
  func maskPoints() throws {
    let (bert, targets) = (try Fixture.fourLayers(), try targets())
    let slow = SlowBERT(weights: bert.weights, configuration: bert.configuration)
    let golden = try #require(try Golden.all().first)
    let traced = bert.trace([targets[0]], endpoints: false)
    for (point, layer) in zip(bert.pathPoints(traced, points([targets[0]], 0.4, following: .mask)), 0...) {
      let terms = zip(traced.activations[0][layer * 32..<layer * 32 + 32], point.gradient).map { $0 * $1 }
      let largest = terms.map(abs).max() ?? 0
      for index in [0, 5, 31] {
        let wanted = slow.attribution(
          golden.ids, mask: golden.mask, answer: golden.answerId, layer: layer, index: index, nodes: [0.4],
          weights: [1],
          onlyMask: true)
        #expect(abs(Double(terms[index]) - wanted) < Self.tolerance * Double(largest))
      }
    }
  }

  @Test("what comes back through other rows is missing from points of [MASK] alone, but not in the last two layers")
  func otherRows() throws {
    let (bert, targets) = (try Fixture.fourLayers(), try targets())
    let traced = bert.trace(targets, endpoints: false)
    let whole = bert.pathSums(traced, points(targets, 0.4))
    let asked = points(targets, 0.4, following: .mask)
    for (point, place) in zip(bert.pathPoints(traced, asked), asked) {
      let sum = whole[place.target][place.layer]
      if place.layer >= 2 {
        expectEqual(point, sum)
      } else {
        let largest = sum.gradient.map(abs).max() ?? 0
        #expect(zip(point.gradient, sum.gradient).contains { abs($0 - $1) > 0.01 * largest })
      }
    }
  }

  @Test(
    "points of whole prompts in bfloat16 are those in float32 but for little, and the same again bit for bit",
    .enabled(if: RoundedMatrix.isSupported))
  func rounding() throws {
    let (bert, targets) = (try Fixture.fourLayers(), try targets())
    let traced = bert.trace(targets, endpoints: true, rounding: true)
    #expect(traced.allowsRounding)
    let places = points(targets, 0.4)
    let (exact, rounded) = (bert.pathSums(traced, places), bert.pathSums(traced, places, rounding: true))
    var worst: Float = 0
    for (exact, rounded) in zip(exact.joined(), rounded.joined()) {
      #expect(abs(exact.probability - rounded.probability) < 1e-4)
      let largest = exact.gradient.map(abs).max() ?? 0
      worst = max(worst, zip(exact.gradient, rounded.gradient).map { abs($0 - $1) / largest }.max() ?? .infinity)
    }
    // Rows of so few columns average little of the eight bits' error, 4e-3 each; nothing rounded would be off by 1e-6.
    #expect(worst < 1e-2 && worst > 1e-5)
    #expect(bert.pathSums(traced, places, rounding: true).joined().map(\.gradient) == rounded.joined().map(\.gradient))
  }

  @Test(
    "with packed weights points are the same but for rounding, also of an edited model that shares what it did not change",
    .enabled(if: PackedMatrix.isSupported), arguments: [false, true])
  func packed(isEdited: Bool) throws {
    var bert = try Fixture.fourLayers()
    let targets = try targets()
    var again = bert.packed()
    if isEdited {
      let slots = [0, 2].map { layer in
        ValueSlot(layer: layer, index: 3, values: (0..<bert.configuration.hiddenSize).map { Float($0 % 5) / 3 })
      }
      (bert, again) = (bert.replacing(slots), again.replacing(slots).packed())
    }
    for following in [FollowingRows.prompt, .mask] {
      let asked = points(targets, 0.4, following: following)
      let (plain, found) = (bert.trace(targets, endpoints: true), again.trace(targets, endpoints: true))
      for (a, b) in zip(bert.pathPoints(plain, asked), again.pathPoints(found, asked)) { expectEqual(b, a) }
      for (a, b) in zip(plain.endpoints.joined(), found.endpoints.joined()) { expectEqual(b, a) }
    }
  }

  @Test(
    "a model with packed weights gives the same scores but for rounding, and the same again bit for bit, edited too",
    .enabled(if: PackedMatrix.isSupported))
  func packedScores() throws {
    let (bert, targets) = (try Fixture.fourLayers(), try targets())
    func scores(_ bert: BERT) -> [Float] {
      bert.attributions(targets, rule: .riemann(steps: 4)).flatMap(\.values)
    }
    let slot = ValueSlot(layer: 1, index: 3, values: (0..<bert.configuration.hiddenSize).map { Float($0 % 5) / 3 })
    for (packed, plain) in [
      (bert.packed(), bert), (bert.packed().replacing([slot]), bert.replacing([slot])),
      (bert.packed().replacing([slot]).packed(), bert.replacing([slot])),
    ] {
      let (found, wanted) = (scores(packed), scores(plain))
      let largest = wanted.map(abs).max() ?? 0
      #expect(zip(found, wanted).allSatisfy { abs($0 - $1) < 1e-4 * largest })
      #expect(scores(packed) == found)
    }
  }

  @Test(
    "points of whole prompts and of [MASK] alone come in the order asked for, and together or apart are the same but for rounding",
    arguments: [false, RoundedMatrix.isSupported])
  func together(rounding: Bool) throws {
    let (bert, targets) = (try Fixture.fourLayers(), try targets())
    let traced = bert.trace(targets, endpoints: true, rounding: rounding)
    let asked = Array(
      (points(targets, 0.9) + points(targets, 0.2, following: .mask) + points(targets, 0.9, following: .mask))
        .reversed())
    let together = bert.pathPoints(traced, asked, rounding: rounding)
    let split = bert.pathPoints(traced, asked, rounding: rounding, threads: ThreadCount(1), memory: 1)
    for (point, (a, b)) in zip(asked, zip(together, split)) {
      expectEqual(a, b, rounding: rounding)
      expectEqual(a, bert.pathPoints(traced, [point], rounding: rounding)[0], rounding: rounding)
    }
  }

  @Test("scores of single layers are those of all layers, and zero in the others")
  func singleLayers() throws {
    let bert = try Fixture.fourLayers()
    let targets = try targets()
    let layers = targets.indices.map { $0 % 2 == 0 ? Set([1, 3]) : [2] }
    let all = bert.attributions(targets, rule: .gaussLegendre(steps: 3))
    let some = bert.attributions(targets, rule: .gaussLegendre(steps: 3), layers: layers)
    for (target, (all, some)) in zip(all, some).enumerated() {
      for (index, (a, b)) in zip(all.values, some.values).enumerated() {
        // Products of other numbers of rows add up in another order.
        let wanted = layers[target].contains(index / all.neurons) ? a : 0
        #expect(abs(wanted - b) <= 1e-5 * all.largest)
      }
    }
  }

  @Test(
    "the adaptive rule's coarse sets are those of the exact integral, but for scores within 1 % of the threshold",
    arguments: [2, 4])
  func adaptive(layers: Int) throws {
    let bert = layers == 2 ? try Fixture.open().bert : try Fixture.fourLayers()
    let targets = try targets()
    let exact = bert.attributions(targets, rule: .gaussLegendre(steps: 24))
    for (found, exact) in zip(bert.attributions(targets, rule: .adaptive), exact) {
      let (threshold, own) = (0.2 * exact.largest, 0.2 * found.largest)
      for (a, b) in zip(exact.values, found.values) where abs(a - threshold) > 0.01 * threshold {
        #expect((a >= threshold) == (b >= own))
      }
    }
  }

  @Test(
    "the adaptive rule's two weights integrate P(1 − P) times a straight line, where the log-odds run as a cubic",
    arguments: [(0.0, 0.0, 0.0), (-3, 4, 0), (2, -5, 3), (-9, 2, 5)])
  func productWeights(start: Double, slope: Double, bend: Double) {
    func odds(_ alpha: Double) -> Double { start + slope * alpha + bend * alpha * alpha * alpha }
    func p(_ alpha: Double) -> Double { 1 / (1 + exp(-odds(alpha))) }
    func share(_ alpha: Double) -> Double { p(alpha) * (1 - p(alpha)) }
    func course(_ alpha: Double) -> AdaptivePath.Course {
      (p(alpha), share(alpha) * (slope + 3 * bend * alpha * alpha))
    }
    let weights = AdaptivePath.twoWeights(low: course(AdaptivePath.third), high: course(1))
    for line in [{ (_: Double) in 1.0 }, { $0 }, { 2 - 3 * $0 }] {
      // The midpoint rule with 20,000 strips is off by about 1e-9 here; the twelve nodes of the weights by less than 1e-5.
      let dense = (0..<20_000).reduce(0.0) { sum, strip in
        let alpha = (Double(strip) + 0.5) / 20_000
        return sum + share(alpha) * line(alpha) / 20_000
      }
      let found =
        weights.low * share(AdaptivePath.third) * line(AdaptivePath.third) + weights.high * share(1) * line(1)
      #expect(abs(found - dense) < 1e-5)
    }
  }

  @Test("the adaptive rule's two weights are Radau's where P(1 − P) is constant or float32 cannot tell it")
  func radauWeights() {
    for course in [(p: 0.3, slope: 0.0), (p: 1, slope: 0), (p: 0.9995, slope: 0.001), (p: 0, slope: 0)] {
      let weights = AdaptivePath.twoWeights(low: course, high: course)
      // Sums of twelve doubles.
      #expect(abs(weights.low - 0.75) < 1e-12 && abs(weights.high - 0.25) < 1e-12)
    }
  }

  @Test("the paper's nodes end at 1, the authors' code's begin at 0")
  func riemannNodes() {
    #expect(AttributionRule.riemann(steps: 4).points?.nodes == [0.25, 0.5, 0.75, 1])
    #expect(AttributionRule.leftRiemann(steps: 4).points?.nodes == [0, 0.25, 0.5, 0.75])
    #expect(AttributionRule.riemann(steps: 4).points?.weights == [0.25, 0.25, 0.25, 0.25])
  }

  @Test("n Gauss-Legendre nodes integrate polynomials of degree 2n − 1", arguments: [1, 2, 3, 8, 24, 64])
  func gaussLegendre(count: Int) throws {
    let (nodes, weights) = try #require(AttributionRule.gaussLegendre(steps: count).points)
    #expect(nodes.allSatisfy { $0 > 0 && $0 < 1 })
    for degree in 0..<(2 * count) {
      let integral = zip(nodes, weights).reduce(0) { $0 + $1.1 * pow($1.0, Double(degree)) }
      // A sum of at most 64 doubles.
      #expect(abs(integral - 1 / Double(degree + 1)) < 1e-13)
    }
  }

  @Test("a rule is found by its name, and not by another or without steps")
  func names() {
    for name in AttributionRule.names { #expect(AttributionRule(name: name, steps: 7)?.name == name) }
    #expect(AttributionRule.adaptive.points == nil && AttributionRule.adaptive.steps == 0)
    #expect(AttributionRule(name: "simpson", steps: 7) == nil)
    #expect(AttributionRule(name: "riemann", steps: 0) == nil)
  }
}
