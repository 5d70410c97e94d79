import BERT
import Foundation

/// What the adaptive rule knows of one layer's path of one prompt, and which points would tell it more.
package struct AdaptiveLayer {
  /// Terms, activation times gradient of every neuron, of one point or of a sum of points, with P(answer) there.
  package struct Terms {
    let p: Double
    package let values: [Float]

    package init(p: Double, values: [Float]) {
      self.p = p
      self.values = values
    }

    init(_ sum: PathSum, activations: ArraySlice<Float>) {
      p = sum.probability
      values = zip(activations, sum.gradient).map { $0 * $1 }
    }

    var course: AdaptivePath.Course { (p, Double(values.reduce(0, +))) }
  }

  /// Which points are to be taken next.
  package enum Need {
    /// Of `[MASK]` alone: those that make four with α = 1.
    case mask
    /// Of the whole prompt: 1/3.
    case third
    /// Of the whole prompt: Gauss and Legendre's.
    case most
  }

  /// Layers above.
  let above: Int
  /// What the whole prompt costs in a layer, by what a row of it costs in float32.
  let promptCost: Double
  /// What a row of the decoder costs, by what a row of a layer costs.
  let decoderCost: Double
  /// Estimated errors below this share of the threshold are not worth another point.
  let tolerance: Double
  /// The whole prompt at α = 1.
  let end: Terms
  /// The same, `[MASK]` alone.
  let maskEnd: Terms
  /// The whole prompt at 1/3.
  private var third: Terms?
  /// `[MASK]` alone at 1/3, and the weighted sum of the two other points.
  private var mask: (third: Terms, middle: [Float])?
  /// The part of the gradient at α = 1 that comes back through other rows.
  private let foreignShare: Double
  /// Whether the scores are those of Gauss and Legendre's points, which leave nothing to ask.
  private var isFinal = false
  /// The best scores so far.
  package private(set) var scores: [Float]
  /// Estimated error by which a score's own terms are multiplied.
  private var relativeError = Double.infinity
  /// The least estimated error, as a share of the threshold.
  private var leastError = 0.0
  /// Differences of two and of four points of `[MASK]`, where these are known.
  private var changes: [Float] = []

  package init(
    end: Terms, maskEnd: Terms, above: Int, promptCost: Double, decoderCost: Double,
    tolerance: Double = AttributionScores.tolerance
  ) {
    self.end = end
    self.maskEnd = maskEnd
    self.above = above
    self.promptCost = promptCost
    self.decoderCost = decoderCost
    self.tolerance = tolerance
    scores = end.values
    foreignShare = AdaptivePath.foreignShare(whole: end.values, mask: maskEnd.values)
  }

  package mutating func take(third: Terms) {
    self.third = third
    integrate()
  }

  package mutating func take(maskThird: Terms, middle: [Float]) {
    mask = (maskThird, middle)
    integrate()
  }

  package mutating func take(most: Terms) {
    scores = most.values
    isFinal = true
  }

  /// The scores from what is known, and their error.
  private mutating func integrate() {
    guard let mask else {
      guard let third else { return }
      scores = Self.two(third, end)
      let bend = AdaptivePath.bend(third.values, end.values)
      (leastError, relativeError) = AdaptivePath.twoError(bend: bend, above: above)
      return
    }
    leastError = AdaptivePath.leastError
    let bend = AdaptivePath.bend(mask.third.values, maskEnd.values)
    var sums = Self.four(mask.third, mask.middle, maskEnd)
    changes = zip(sums, Self.two(mask.third, maskEnd)).map { $0 - $1 }
    if let third {
      let (low, high) = (Float(AdaptivePath.radau.low), Float(AdaptivePath.radau.high))
      for index in sums.indices {
        sums[index] += low * (third.values[index] - mask.third.values[index])
        sums[index] += high * (end.values[index] - maskEnd.values[index])
      }
      relativeError = AdaptivePath.bothError(foreignShare: foreignShare, bend: bend)
    } else {
      for index in sums.indices { sums[index] += end.values[index] - maskEnd.values[index] }
      relativeError = AdaptivePath.maskError(foreignShare: foreignShare, bend: bend)
    }
    scores = sums
  }

  private static func four(_ low: Terms, _ middle: [Float], _ high: Terms) -> [Float] {
    let (lowWeight, highWeight) = (Float(AdaptivePath.four.thirdWeight), Float(AdaptivePath.four.endWeight))
    return middle.indices.map { middle[$0] + lowWeight * low.values[$0] + highWeight * high.values[$0] }
  }

  private static func two(_ low: Terms, _ high: Terms) -> [Float] {
    let weights = AdaptivePath.twoWeights(low: low.course, high: high.course)
    let (lowWeight, highWeight) = (Float(weights.low), Float(weights.high))
    return zip(low.values, high.values).map { lowWeight * $0 + highWeight * $1 }
  }

  /// How far the score nearest to a threshold is from it.
  package func distance(to threshold: Float) -> Float { scores.reduce(.infinity) { min($0, abs($1 - threshold)) } }

  /// What is to be taken next, if any score's error could carry it over the threshold, or the threshold over any score.
  ///
  /// - Parameters:
  ///   - threshold: The coarse threshold by all layers' scores so far.
  ///   - nearest: How far the prompt's score nearest to the threshold is from it.
  ///   - peak: The index of the prompt's largest score, if it lies in this layer.
  package func need(threshold: Float, nearest: Float, peak: Int?) -> Need? {
    if isFinal || threshold <= 0 { return nil }
    guard third != nil || mask != nil else {
      guard peak != nil || (scores.max() ?? 0) * Float(AdaptivePath.reach) >= threshold else { return nil }
      return thirdFirst(threshold) ? .third : .mask
    }
    if mask == nil, peak != nil { return .mask }
    let tolerated = Float(tolerance) * threshold
    let isInDoubt = scores.indices.contains { index in
      let error = error(index, threshold)
      if index == peak { return Float(AttributionScores.coarseRatio) * error > max(tolerated, nearest) }
      return error > tolerated && abs(scores[index] - threshold) <= error
    }
    guard isInDoubt else { return nil }
    if mask == nil { return .mask }
    return third == nil ? .third : .most
  }

  /// How far each score may be off.
  ///
  /// - Parameter threshold: The coarse threshold.
  package func errors(threshold: Float) -> [Float] {
    if isFinal || threshold <= 0 { return scores.map { _ in 0 } }
    return scores.indices.map { error($0, threshold) }
  }

  private func error(_ index: Int, _ threshold: Float) -> Float {
    if third == nil, mask == nil { return Float(AdaptivePath.reach - 1) * abs(scores[index]) }
    let own = Float(relativeError) * scale(index)
    if mask == nil { return max(Float(leastError) * threshold, own) }
    let change = Double(abs(changes[index]) / threshold)
    return Float(leastError + AdaptivePath.fourError(change)) * threshold + own
  }

  private func scale(_ index: Int) -> Float {
    max(abs((third ?? mask?.third ?? end).values[index]), abs(end.values[index]))
  }

  /// Whether the whole prompt's point is likely to be needed anyway, so that asking `[MASK]` first would cost more.
  ///
  /// Told from how many scores lie near the threshold: with errors e of one kind of points and n scores per unit of
  /// relative distance, some score is in doubt with probability 1 − exp(−2 n e), if such errors are not tolerated.
  private func thirdFirst(_ threshold: Float) -> Bool {
    let width = 0.1
    let near = scores.count { abs($0 - threshold) <= Float(width) * threshold }
    func doubt(_ error: Double) -> Double {
      error > tolerance ? 1 - exp(-Double(near) * min(1, error / width)) : 0
    }
    let bend = AdaptivePath.usualBend
    let afterMask = doubt(AdaptivePath.maskError(foreignShare: foreignShare, bend: bend))
    let two = AdaptivePath.twoError(bend: bend, above: above)
    let afterThird = doubt(max(two.least, two.relative))
    let points = Double(AdaptivePath.four.alphas.count + 1)
    let mask = AdaptivePath.fewRowsCost * points * (Double(above) + decoderCost)
    let third = promptCost * Double(above) + decoderCost
    return third + afterThird * mask < mask + afterMask * third
  }
}
