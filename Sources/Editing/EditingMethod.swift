import BERT
import Checkpoint
import Neurons

/// A way to compute new value slots for chosen neurons.
///
/// A method is a small value whose stored properties are its parameters; both go into the record of an edit.
public protocol EditingMethod: Sendable {
  /// New rows of W2 for `neurons`; nothing else changes.
  func valueSlots(of neurons: [Neuron], in model: MaskedLanguageModel) throws -> [ValueSlot]
}

extension BERTWeights {
  /// The word embedding of a piece, `[hidden]`.
  func wordEmbedding(_ id: Int) -> [Double] { wordEmbeddings.row(id).map(Double.init) }
}
