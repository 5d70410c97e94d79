import Attribution
import Testing

@Suite("A layer's path by the adaptive rule")
struct AdaptiveLayerTests {
  /// Thousandths, so that P hardly moves along the path.
  private static let unit: Float = 1e-3

  /// Terms of three neurons along the path, whose scores are 5.1, 1.12 and `third` + 0.1 units where through other rows comes
  /// 0.2 · α; a fifth of the first is 1.02.
  private func terms(_ alpha: Double, third: Double, foreign: Double) -> AdaptiveLayer.Terms {
    func bent(_ integral: Double) -> Float {
      Self.unit
        * Float(integral * (1 + 0.3 * (alpha - 0.5) + 0.1 * (alpha * alpha * alpha * alpha - 0.2)) + foreign * alpha)
    }
    return AdaptiveLayer.Terms(p: 0.5, values: [bent(5), bent(1.02), bent(third)])
  }

  private static let threshold = 1.02 * unit

  /// The layer when 1/3 and four points of `[MASK]` are known; through other rows comes 0.2 · α.
  private func layer(third: Double) -> AdaptiveLayer {
    var layer = AdaptiveLayer(
      end: terms(1, third: third, foreign: 0.2), maskEnd: terms(1, third: third, foreign: 0), above: 5, promptCost: 9,
      decoderCost: 3)
    layer.take(third: terms(AdaptivePath.third, third: third, foreign: 0.2))
    layer.take(
      maskThird: terms(AdaptivePath.third, third: third, foreign: 0), middle: middle(third: third, foreign: 0))
    return layer
  }

  private func middle(third: Double, foreign: Double) -> [Float] {
    let points = AdaptivePath.four.alphas.map { terms($0, third: third, foreign: foreign).values }
    let weights = AdaptivePath.four.weights.map { Float($0) }
    return zip(points[0], points[1]).map { weights[0] * $0 + weights[1] * $1 }
  }

  @Test("four points of [MASK] and two of the rest integrate what is of degree 5 there and 2 here; so do four of all")
  func exactness() {
    var layer = layer(third: 0.3)
    // Sums of a few float32 of that size.
    func expectExact() { #expect(zip(layer.scores, [5.1, 1.12, 0.4]).allSatisfy { abs($0 / Self.unit - $1) < 5e-6 }) }
    expectExact()
    layer.take(middle: middle(third: 0.3, foreign: 0.2))
    expectExact()
  }

  @Test("nothing more is asked where no score is near the threshold, and two points where one is nearer than its error")
  func doubt() {
    func need(_ third: Double) -> AdaptiveLayer.Need? {
      layer(third: third).need(threshold: Self.threshold, nearest: Self.unit, peak: nil)
    }
    #expect(need(0.3) == nil)
    // Scores are a tenth above these: 1e-2 and 1e-5 of the threshold away.
    #expect(need(0.9098) == nil)
    #expect(need(0.92001) == .four)
  }

  @Test("the largest score is asked about where what it may be off would carry the threshold over the nearest score")
  func peak() {
    let layer = layer(third: 0.3)
    #expect(layer.need(threshold: Self.threshold, nearest: layer.distance(to: Self.threshold), peak: 0) == nil)
    #expect(layer.need(threshold: Self.threshold, nearest: 1e-6 * Self.unit, peak: 0) == .four)
  }

  @Test("four points of the whole prompt leave nothing to ask where they bend so little")
  func settled() {
    var layer = layer(third: 0.92001)
    layer.take(middle: middle(third: 0.92001, foreign: 0.2))
    #expect(layer.need(threshold: Self.threshold, nearest: 1e-6 * Self.unit, peak: 0) == nil)
  }
}
