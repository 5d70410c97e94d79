import BERT
import Checkpoint
import Kernels
import Neurons

/// An update of facts by optimisation: a move of value slots that makes the new answers win while neighbours stay.
///
/// Minimises Σ over facts of the mean over their prompts of max(0, ln c − ln P(t′)), c the wanted confidence, plus
/// weight · mean KL(before ‖ now) over the neighbours. A wording that has reached c asks for nothing more, so that the
/// rest of the optimisation goes into leaving the neighbours alone. Where keys are varied, of the neighbours only
/// ``SlotOptimization/heeded`` run, most of them those to which the keys respond; the others can hardly change.
public struct OptimizedUpdate: EditingMethod {
  /// Per fact, the prompts with the word pieces that they shall give.
  public let targets: [[AttributionTarget]]
  /// Prompts about the edited subjects, in other relations, on which the model shall keep what it says.
  public let sameSubject: [EncodedPrompt]
  /// Prompts about others on which the model shall keep what it says.
  public let neighbours: [EncodedPrompt]
  /// What steers the optimisation.
  public let optimization: SlotOptimization
  /// Threads to use.
  public let threads: ThreadCount

  /// An update that makes the targets' answers win.
  public init(
    targets: [[AttributionTarget]], sameSubject: [EncodedPrompt] = [], neighbours: [EncodedPrompt],
    optimization: SlotOptimization = .update,
    threads: ThreadCount = .allCores
  ) {
    self.targets = targets
    self.sameSubject = sameSubject
    self.neighbours = neighbours
    self.optimization = optimization
    self.threads = threads
  }

  /// Per fact, where the goals of its targets are among those of ``traced(in:from:)``.
  public var positions: [Range<Int>] {
    var start = 0
    return targets.map { own in
      defer { start += own.count }
      return start..<start + own.count
    }
  }

  /// What the edit asks of the model: the targets in their order, then the neighbours, of them first those about the
  /// edited subjects.
  ///
  /// - Parameter lowestLayer: The lowest layer whose slots may change.
  public func traced(in model: MaskedLanguageModel, from lowestLayer: Int) -> TracedGoals {
    let goals = targets.flatMap { own in
      own.map {
        OutputGoal(
          prompt: $0.prompt, wanted: .answer($0.answer, atLeast: optimization.confidence),
          weight: 1 / Double(own.count))
      }
    }
    return TracedGoals(
      model.bert, goals + optimization.staying(neighbours, ofEditedSubjects: sameSubject), from: lowestLayer,
      wholeLayers: optimization.subjectLayers(model.bert.configuration.layerCount).filter { $0 >= lowestLayer },
      threads: threads)
  }

  /// The slots after the edit.
  ///
  /// - Parameter traced: What ``traced(in:from:)`` gives.
  public func valueSlots(of neurons: [Neuron], traced: TracedGoals) -> [ValueSlot] {
    // Each word piece of an answer is a question of its own.
    let questions = zip(targets, positions).flatMap { own, positions in
      let pieces = Dictionary(grouping: positions, by: { own[$0 - positions.lowerBound].answer })
      return pieces.sorted { $0.key < $1.key }.map(\.value)
    }
    return withProductThreads(traced.threads) {
      optimization.minimize(traced, questions: questions, subjects: positions.map(Array.init), neurons: neurons)
    }
  }

  /// The slots after the edit.
  public func valueSlots(of neurons: [Neuron], in model: MaskedLanguageModel) -> [ValueSlot] {
    guard let lowest = neurons.map(\.layer).min() else { return [] }
    return valueSlots(of: neurons, traced: traced(in: model, from: lowest))
  }
}
