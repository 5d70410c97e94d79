import Checkpoint
import Foundation
import Kernels

/// What a model should say at a prompt's `[MASK]`, and how much that counts.
public struct OutputGoal: Sendable {
  /// What should be said.
  public enum Wanted: Sendable {
    /// One word piece: the loss is −ln P.
    case answer(Int)
    /// A distribution over the vocabulary: the loss is the Kullback-Leibler divergence from it.
    case distribution([Float])
  }

  /// The prompt.
  public let prompt: EncodedPrompt
  /// What should be said there.
  public let wanted: Wanted
  /// Weight of the prompt's loss in the sum.
  public let weight: Double

  /// A goal for one prompt.
  public init(prompt: EncodedPrompt, wanted: Wanted, weight: Double) {
    self.prompt = prompt
    self.wanted = wanted
    self.weight = weight
  }
}

/// How far a model is from its goals, and which way value slots would have to move.
public struct SlotGradients: Sendable {
  /// Σ weight · loss.
  public let loss: Double
  /// P of the wanted answer per goal; nil where a distribution is wanted.
  public let probabilities: [Double?]
  /// ∂loss/∂slot, `[hidden]` each.
  public let gradients: [[Double]]
}

extension BERT {
  /// Gradients of the goals' loss with respect to value slots, by one forward pass and one way back to the lowest slot.
  ///
  /// A slot counts at every position where its neuron fires, not at `[MASK]` alone.
  /// - Parameters:
  ///   - goals: Prompts and what they should give.
  ///   - slots: Layer and index of each slot.
  ///   - threads: Threads to use; with the same number, results are the same bit for bit.
  public func slotGradients(
    _ goals: [OutputGoal], slots: [(layer: Int, index: Int)], threads: ThreadCount = .allCores
  ) -> SlotGradients {
    let total = goals.reduce(0) { $0 + $1.prompt.ids.count }
    let groups = packs(goals.map(\.prompt), rows: balancedRows(total, threads))
    let lowest = slots.map(\.layer).min() ?? layerCount
    let hidden = hidden
    let parts = concurrently(groups.count, threads: threads) { group in
      let own = Array(goals[groups[group]])
      let pass = ForwardPass(self, own.map(\.prompt), tracing: .pathAndEndpoint)
      let (loss, probabilities, gradient) = head.goalGradient(pass.states, own)
      var gradients = slots.map { _ in [Double](repeating: 0, count: hidden) }
      guard lowest < layerCount else { return (loss, probabilities, gradients) }
      pass.takeBack(self, gradient, downTo: lowest) { layer, tape, output, _ in
        for (position, slot) in slots.enumerated() where slot.layer == layer {
          // What entered GELU was kept; its value is wanted for this one neuron only.
          let activation = Matrix(rows: output.rows, columns: 1)
          activation.all.copy(from: tape.tape.inputs.all.columns(slot.index, count: 1))
          gelu(activation.all)
          let sum = Matrix(rows: 1, columns: hidden)
          multiply(activation.all, transposingA: true, output, into: sum.all)
          gradients[position] = sum.all.values.map(Double.init)
        }
      }
      return (loss, probabilities, gradients)
    }
    var sums = slots.map { _ in [Double](repeating: 0, count: hidden) }
    for part in parts {
      for slot in slots.indices { for column in 0..<hidden { sums[slot][column] += part.2[slot][column] } }
    }
    return SlotGradients(
      loss: parts.reduce(0) { $0 + $1.0 }, probabilities: parts.flatMap(\.1), gradients: sums)
  }
}
