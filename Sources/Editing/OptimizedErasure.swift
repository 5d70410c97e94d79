import BERT
import Checkpoint
import Kernels
import Neurons

/// An erasure of a relation by optimisation: one set of value slots after which every fact's answer is no more likely
/// than the relation's other answers, while other relations stay.
///
/// Minimises the mean over the relation's prompts of |ln P(t) − ln m| plus weight · mean KL(before ‖ now) over the
/// neighbours. m is ``ownShare`` of an even share among the relation's answers, so that t ends among the others, and not at
/// the level of noise in a vocabulary of thousands; what is taken from t goes to what the model holds likely besides.
public struct OptimizedErasure: EditingMethod {
  /// Prompts of the relation with the word piece each should no longer prefer.
  public let targets: [AttributionTarget]
  /// How many answers the relation has.
  public let answerCount: Int
  /// Prompts on which the model shall keep what it says.
  public let neighbours: [EncodedPrompt]
  /// What steers the optimisation.
  public let optimization: SlotOptimization
  /// Threads to use.
  public let threads: ThreadCount

  /// The P that a fact's answer is brought to, as a share of one by the number of the relation's answers.
  static let ownShare = 0.5

  /// An erasure of what `targets` ask.
  public init(
    targets: [AttributionTarget], answerCount: Int, neighbours: [EncodedPrompt],
    optimization: SlotOptimization, threads: ThreadCount = .allCores
  ) {
    self.targets = targets
    self.answerCount = answerCount
    self.neighbours = neighbours
    self.optimization = optimization
    self.threads = threads
  }

  /// What the edit asks of the model: the targets in their order, then the neighbours.
  ///
  /// - Parameter lowestLayer: The lowest layer whose slots may change.
  public func traced(in model: MaskedLanguageModel, from lowestLayer: Int) -> TracedGoals {
    let level = Self.ownShare / Double(max(1, answerCount))
    let goals = targets.map {
      OutputGoal(prompt: $0.prompt, wanted: .level($0.answer, at: level), weight: 1 / Double(targets.count))
    }
    return TracedGoals(
      model.bert, goals + optimization.staying(neighbours), from: lowestLayer, threads: threads)
  }

  /// The slots after the edit.
  ///
  /// - Parameter traced: What ``traced(in:from:)`` gives.
  public func valueSlots(of neurons: [Neuron], traced: TracedGoals) -> [ValueSlot] {
    let questions = Dictionary(grouping: targets.indices, by: { targets[$0].answer }).sorted { $0.key < $1.key }
    return withProductThreads(traced.threads) {
      optimization.minimize(traced, questions: questions.map(\.value), neurons: neurons)
    }
  }

  /// The slots after the edit.
  public func valueSlots(of neurons: [Neuron], in model: MaskedLanguageModel) -> [ValueSlot] {
    guard let lowest = neurons.map(\.layer).min() else { return [] }
    return valueSlots(of: neurons, traced: traced(in: model, from: lowest))
  }
}
