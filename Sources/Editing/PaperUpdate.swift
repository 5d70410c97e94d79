import BERT
import Checkpoint
import Neurons
import Tensors

/// The paper's update of a fact ⟨h, r, t⟩ to t′ (Dai et al 2022, section 5.1, with the norm ratios of their code).
///
/// v ← v − λ₁ ‖v‖/‖e(t)‖ · e(t) + λ₂ ‖v‖/‖e(t′)‖ · e(t′), with ‖v‖ before the edit and e the word embedding. An embedding of
/// zeros has no direction, and its term is left out.
public struct PaperUpdate: EditingMethod, Hashable {
  /// Word piece of the old answer t.
  public let old: Int
  /// Word piece of the new answer t′.
  public let new: Int
  /// λ₁, how much of the old answer is taken away.
  public let lambda1: Double
  /// λ₂, how much of the new answer is added.
  public let lambda2: Double

  /// λ₁ and λ₂ of the paper.
  public static let published = (lambda1: 1.0, lambda2: 8.0)

  /// The update from word piece `old` to `new`.
  public init(old: Int, new: Int, lambda1: Double = published.lambda1, lambda2: Double = published.lambda2) {
    self.old = old
    self.new = new
    self.lambda1 = lambda1
    self.lambda2 = lambda2
  }

  /// The slots after the edit, computed in double precision.
  public func valueSlots(of neurons: [Neuron], in model: MaskedLanguageModel) -> [ValueSlot] {
    let weights = model.bert.weights
    let (from, to) = (weights.wordEmbedding(old), weights.wordEmbedding(new))
    return neurons.map { neuron in
      let slot = weights.valueSlot(layer: neuron.layer, index: neuron.index).map(Double.init)
      let size = slot.norm
      func amount(_ lambda: Double, _ embedding: [Double]) -> Double {
        embedding.norm > 0 ? lambda * size / embedding.norm : 0
      }
      let (less, more) = (amount(lambda1, from), amount(lambda2, to))
      let values = slot.indices.map { Float(slot[$0] - less * from[$0] + more * to[$0]) }
      return ValueSlot(layer: neuron.layer, index: neuron.index, values: values)
    }
  }
}
