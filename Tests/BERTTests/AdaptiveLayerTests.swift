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

  /// The layer when 1/3 and four points of `[MASK]` are known; through other rows comes `foreign` · α.
  private func layer(third: Double, foreign: Double = 0.2) -> AdaptiveLayer {
    var layer = AdaptiveLayer(
      end: terms(1, third: third, foreign: foreign), maskEnd: terms(1, third: third, foreign: 0), above: 5,
      promptCost: 9,
      decoderCost: 3)
    layer.take(third: terms(AdaptivePath.third, third: third, foreign: foreign))
    layer.take(
      maskThird: terms(AdaptivePath.third, third: third, foreign: 0), middle: middle(third: third, foreign: 0))
    return layer
  }

  private func middle(third: Double, foreign: Double) -> [Float] {
    let points = AdaptivePath.four.alphas.map { terms($0, third: third, foreign: foreign).values }
    let weights = AdaptivePath.four.weights.map { Float($0) }
    return zip(points[0], points[1]).map { weights[0] * $0 + weights[1] * $1 }
  }

  @Test("four points of [MASK] and two of the rest integrate what is of degree 5 there and 2 here")
  func exactness() {
    // Sums of a few float32 of that size.
    #expect(zip(layer(third: 0.3).scores, [5.1, 1.12, 0.4]).allSatisfy { abs($0 / Self.unit - $1) < 5e-6 })
  }

  @Test("nothing more is asked where no score is near the threshold, nor where it may be off by little")
  func doubt() {
    func need(_ third: Double, foreign: Double) -> AdaptiveLayer.Need? {
      layer(third: third, foreign: foreign).need(threshold: Self.threshold, nearest: Self.unit, peak: nil)
    }
    // Scores are a half of what comes through other rows above these: the third lies 1e-5 of the threshold away.
    #expect(need(0.92001, foreign: 0.2) == nil)
    // Twenty times as much comes through other rows, and scores may be off by more than is tolerated.
    #expect(need(-0.97999, foreign: 4) == .most)
    #expect(need(0.3, foreign: 4) == nil)
  }

  @Test("the largest score is asked about where what it may be off would carry the threshold over the nearest score")
  func peak() {
    let layer = layer(third: 0.3, foreign: 6)
    #expect(layer.need(threshold: Self.threshold, nearest: Self.threshold, peak: 0) == nil)
    #expect(layer.need(threshold: Self.threshold, nearest: 1e-6 * Self.unit, peak: 0) == .most)
  }

  @Test("a smaller tolerance asks for more")
  func tolerance() {
    func need(_ tolerance: Double) -> AdaptiveLayer.Need? {
      var layer = AdaptiveLayer(
        end: terms(1, third: 0.92001, foreign: 0.2), maskEnd: terms(1, third: 0.92001, foreign: 0), above: 5,
        promptCost: 9, decoderCost: 3, tolerance: tolerance)
      layer.take(third: terms(AdaptivePath.third, third: 0.92001, foreign: 0.2))
      return layer.need(threshold: Self.threshold, nearest: Self.unit, peak: nil)
    }
    #expect(need(AttributionScores.toleranceOfFewPrompts) == .mask)
    #expect(need(0.1) == nil)
  }

  @Test("the most points leave nothing to ask")
  func settled() {
    var layer = layer(third: -0.97999, foreign: 4)
    layer.take(most: terms(0.5, third: -0.97999, foreign: 4))
    #expect(layer.need(threshold: Self.threshold, nearest: 1e-6 * Self.unit, peak: 0) == nil)
  }

  @Test("scores are said to be off by at least what was measured, and by nothing where the most points were taken")
  func errors() {
    var layer = AdaptiveLayer(
      end: terms(1, third: 0.3, foreign: 0.2), maskEnd: terms(1, third: 0.3, foreign: 0), above: 5, promptCost: 9,
      decoderCost: 3)
    let unknown = layer.errors(threshold: Self.threshold)
    layer.take(third: terms(AdaptivePath.third, third: 0.3, foreign: 0.2))
    let two = layer.errors(threshold: Self.threshold)
    layer.take(maskThird: terms(AdaptivePath.third, third: 0.3, foreign: 0), middle: middle(third: 0.3, foreign: 0))
    let both = layer.errors(threshold: Self.threshold)
    #expect(zip(unknown, two).allSatisfy { $0 > $1 } && zip(two, both).allSatisfy { $0 > $1 })
    #expect(both.allSatisfy { $0 >= Float(AdaptivePath.leastError) * Self.threshold })
    layer.take(most: terms(0.5, third: 0.3, foreign: 0.2))
    #expect(layer.errors(threshold: Self.threshold) == [0, 0, 0])
  }
}
