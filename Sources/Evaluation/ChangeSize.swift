import BERT
import Checkpoint
import Neurons

/// The size of an edit.
public struct ChangeSize: Sendable, Hashable {
  /// Value slots that changed.
  public let slots: Int
  /// ‖Δ‖, the norm of all changes together.
  public let norm: Double

  /// The change of `neurons`' slots from one model to another.
  public init(of neurons: [Neuron], from before: MaskedLanguageModel, to after: MaskedLanguageModel) {
    var sum = 0.0
    var changed = 0
    for neuron in neurons {
      let old = before.bert.weights.valueSlot(layer: neuron.layer, index: neuron.index)
      let new = after.bert.weights.valueSlot(layer: neuron.layer, index: neuron.index)
      let square = zip(old, new).reduce(0.0) { $0 + Double($1.1 - $1.0) * Double($1.1 - $1.0) }
      if square > 0 { changed += 1 }
      sum += square
    }
    (slots, norm) = (changed, sum.squareRoot())
  }
}
