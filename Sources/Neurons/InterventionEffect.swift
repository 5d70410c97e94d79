import BERT
import Foundation
import Kernels
import Relations

/// What scaling a fact's neurons does to the probability of its answer (Dai et al 2022, figures 4 and 5).
public struct InterventionEffect: Sendable, Hashable {
  /// Mean P(answer) over all prompts, nothing changed.
  public let probability: Double
  /// (mean P with the neurons' activations × 0 − mean P) / mean P.
  public let suppressedChange: Double
  /// (mean P with the neurons' activations × 2 − mean P) / mean P.
  public let amplifiedChange: Double
}

extension MaskedLanguageModel {
  /// Suppresses and amplifies the neurons of each fact on that fact's own prompts; nil where there is no prompt, or none that
  /// the model gives any probability of its answer, so that there is nothing that could change.
  ///
  /// - Throws: `PromptError` or `ModelError` for a prompt or answer that the model cannot take.
  public func interventionEffect(
    _ facts: [(fact: Fact, prompts: [String], neurons: [Neuron])], threads: ThreadCount = .allCores
  ) throws -> InterventionEffect? {
    var factors: [AttributionTarget] = []
    var owners: [Int] = []
    var neurons: [[Neuron]] = []
    for entry in facts {
      for prompt in entry.prompts {
        let own = try self.factors(prompt, answer: entry.fact.answer)
        owners += own.map { _ in neurons.count }
        factors += own
        neurons.append(entry.neurons)
      }
    }
    let (asked, ownerOf, count) = (factors, owners, neurons.count)
    func mean(factor: Float) -> Double {
      let interventions = ownerOf.map { owner in
        neurons[owner].map { Intervention(layer: $0.layer, index: $0.index, factor: factor) }
      }
      let values = bert.predict(asked.map(\.prompt), interventions: interventions, threads: threads) {
        $1.probability(of: asked[$0].answer)
      }
      // P of an answer is the product over its word pieces.
      var products = Array(repeating: 1.0, count: count)
      for (owner, value) in zip(ownerOf, values) { products[owner] *= value }
      return products.reduce(0, +) / Double(max(1, count))
    }
    let before = mean(factor: 1)
    guard before > 0 else { return nil }
    return InterventionEffect(
      probability: before, suppressedChange: (mean(factor: 0) - before) / before,
      amplifiedChange: (mean(factor: 2) - before) / before)
  }
}
