import BERT
import Checkpoint
import Foundation
import Kernels
import Neurons

/// An update by optimisation: the smallest move of the value slots found that makes the new answer win on the fact's
/// prompts while what the model says on neighbours stays.
///
/// Minimises mean −ln P(t′) over the prompts + weight · mean KL(before ‖ now) over the neighbours by Adam, on the slots
/// only, and stops as soon as P(t′) reaches the wanted confidence on every prompt. Deterministic.
public struct OptimizedUpdate: EditingMethod {
  /// Everything that steers the optimisation; kept in the record.
  public struct Parameters: Sendable, Hashable, Codable {
    /// P(t′) to reach on every prompt.
    public var confidence = 0.8
    /// Steps at most.
    public var steps = 100
    /// Adam's step size.
    public var rate = 0.02
    /// Weight of the neighbours' divergence.
    public var neighbourWeight = 50.0
    /// Other facts of the relation whose prompts are neighbours, one prompt each.
    public var sameRelation = 96
    /// Facts of other relations whose prompts are neighbours, one prompt each.
    public var otherRelations = 34

    /// The defaults.
    public init() {}
  }

  /// The new answer's word piece.
  public let new: Int
  /// The fact's prompts.
  public let prompts: [EncodedPrompt]
  /// Prompts on which the model shall keep what it says.
  public let neighbours: [EncodedPrompt]
  /// What steers the optimisation.
  public let parameters: Parameters
  /// Threads to use.
  public let threads: ThreadCount

  /// `optimized`.
  public var name: String { "optimized" }

  /// An update to word piece `new`.
  public init(
    new: Int, prompts: [EncodedPrompt], neighbours: [EncodedPrompt], parameters: Parameters,
    threads: ThreadCount = .allCores
  ) {
    self.new = new
    self.prompts = prompts
    self.neighbours = neighbours
    self.parameters = parameters
    self.threads = threads
  }

  /// The slots after the edit.
  public func valueSlots(of neurons: [Neuron], in model: MaskedLanguageModel) -> [ValueSlot] {
    let before = model.bert.predict(neighbours, threads: threads) { $1.logProbabilities.map { exp($0) } }
    var goals = prompts.map { OutputGoal(prompt: $0, wanted: .answer(new), weight: 1 / Double(prompts.count)) }
    goals += zip(neighbours, before).map {
      OutputGoal(
        prompt: $0, wanted: .distribution($1), weight: parameters.neighbourWeight / Double(neighbours.count))
    }
    let places = neurons.map { (layer: $0.layer, index: $0.index) }
    var values = neurons.map { model.bert.weights.valueSlot(layer: $0.layer, index: $0.index).map(Double.init) }
    var moments = values.map { $0.map { _ in (first: 0.0, second: 0.0) } }
    func slots() -> [ValueSlot] {
      zip(neurons, values).map { ValueSlot(layer: $0.layer, index: $0.index, values: $1.map(Float.init)) }
    }
    for step in 1...max(1, parameters.steps) {
      let state = model.bert.replacing(slots()).slotGradients(goals, slots: places, threads: threads)
      if state.probabilities.allSatisfy({ $0.map { $0 >= parameters.confidence } ?? true }) { break }
      let (decay1, decay2) = (1 - pow(0.9, Double(step)), 1 - pow(0.999, Double(step)))
      for slot in values.indices {
        for column in values[slot].indices {
          let gradient = state.gradients[slot][column]
          let first = 0.9 * moments[slot][column].first + 0.1 * gradient
          let second = 0.999 * moments[slot][column].second + 0.001 * gradient * gradient
          moments[slot][column] = (first, second)
          values[slot][column] -= parameters.rate * (first / decay1) / ((second / decay2).squareRoot() + 1e-8)
        }
      }
    }
    return slots()
  }
}
