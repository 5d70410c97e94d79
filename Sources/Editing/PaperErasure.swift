import BERT
import Checkpoint
import Neurons

/// The paper's erasure of a relation: value slots become zero, or the word embedding of `[UNK]` (Dai et al 2022,
/// section 5.2).
public struct PaperErasure: EditingMethod, Hashable {
  /// What a slot becomes.
  public enum Fill: String, Sendable, Hashable, Codable, CaseIterable {
    /// Zeros.
    case zero
    /// The word embedding of `[UNK]`.
    case unk
  }

  /// What the slots become.
  public let fill: Fill

  /// An erasure that fills slots with `fill`.
  public init(fill: Fill = .zero) { self.fill = fill }

  /// The slots after the edit.
  public func valueSlots(of neurons: [Neuron], in model: MaskedLanguageModel) -> [ValueSlot] {
    let weights = model.bert.weights
    let values =
      switch fill {
      case .zero: [Float](repeating: 0, count: model.bert.configuration.hiddenSize)
      case .unk: weights.wordEmbeddings.row(model.tokenizer.vocabulary.unknown)
      }
    return neurons.map { ValueSlot(layer: $0.layer, index: $0.index, values: values) }
  }
}
