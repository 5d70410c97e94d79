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
  /// Suppresses and amplifies the neurons of each fact on that fact's own prompts.
  ///
  /// - Throws: `PromptError` or `ModelError` for a prompt or answer that the model cannot take.
  public func interventionEffect(
    _ facts: [(fact: Fact, prompts: [String], neurons: [Neuron])], threads: ThreadCount = .allCores
  ) throws -> InterventionEffect {
    var prompts: [EncodedPrompt] = []
    var answers: [Int] = []
    var neurons: [[Neuron]] = []
    for entry in facts {
      let answer = try answer(entry.fact.answer)
      for prompt in entry.prompts {
        prompts.append(try encode(prompt))
        answers.append(answer)
        neurons.append(entry.neurons)
      }
    }
    let (encoded, wanted) = (prompts, answers)
    func mean(factor: Float) -> Double {
      let interventions = neurons.map { $0.map { Intervention(layer: $0.layer, index: $0.index, factor: factor) } }
      let values = bert.predict(encoded, interventions: interventions, threads: threads) { index, prediction in
        prediction.probability(of: wanted[index])
      }
      return values.reduce(0, +) / Double(max(1, values.count))
    }
    let before = mean(factor: 1)
    return InterventionEffect(
      probability: before, suppressedChange: (mean(factor: 0) - before) / before,
      amplifiedChange: (mean(factor: 2) - before) / before)
  }
}
