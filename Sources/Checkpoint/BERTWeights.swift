import Tensors

/// The weights of a BERT with a masked-language-model head, float32.
public struct BERTWeights: Sendable {
  /// Which way round a projection's matrix is stored.
  public enum Orientation: Sendable, Hashable {
    /// `[in, out]`, as Keras stores a kernel.
    case inputByOutput
    /// `[out, in]`, as PyTorch stores a weight.
    case outputByInput
  }

  /// y = x · W + b.
  public struct Projection: Sendable {
    /// W, the way round that ``orientation`` says.
    public var weight: Tensor
    /// Which way round ``weight`` is stored.
    public var orientation: Orientation
    /// b, `[out]`.
    public var bias: Tensor
  }

  /// Scale (γ) and shift (β) of a layer normalisation, `[hidden]` each.
  public struct Normalization: Sendable {
    /// γ.
    public var scale: Tensor
    /// β.
    public var shift: Tensor
  }

  /// One encoder layer.
  public struct Layer: Sendable {
    /// Queries, `hidden → hidden`.
    public var query: Projection
    /// Keys, `hidden → hidden`.
    public var key: Projection
    /// Values, `hidden → hidden`.
    public var value: Projection
    /// The projection of the attended values, `hidden → hidden`.
    public var attentionOutput: Projection
    /// The normalisation after attention.
    public var attentionNorm: Normalization
    /// W1, `hidden → intermediate`.
    public var intermediate: Projection
    /// W2, `intermediate → hidden`; its rows as `[intermediate, hidden]` are the value slots.
    public var output: Projection
    /// The normalisation after the feed-forward block.
    public var outputNorm: Normalization
  }

  /// Word embeddings and decoder, `[vocabulary, hidden]`.
  public var wordEmbeddings: Tensor
  /// Position embeddings, `[positions, hidden]`.
  public var positionEmbeddings: Tensor
  /// Segment-type embeddings, `[types, hidden]`.
  public var typeEmbeddings: Tensor
  /// The normalisation after the embeddings.
  public var embeddingNorm: Normalization
  /// The encoder, bottom first.
  public var layers: [Layer]
  /// The head's transform, `hidden → hidden`.
  public var headTransform: Projection
  /// The head's normalisation.
  public var headNorm: Normalization
  /// The decoder's own bias, `[vocabulary]`.
  public var decoderBias: Tensor

  /// The value slot of a neuron: row `index` of W2 as `[intermediate, hidden]`.
  public func valueSlot(layer: Int, index: Int) -> [Float] {
    let output = layers[layer].output
    return output.orientation == .inputByOutput ? output.weight.row(index) : output.weight.column(index)
  }

  /// The same weights with some value slots replaced; only the W2 of layers concerned are copied.
  ///
  /// - Precondition: each slot is one of the model's and has as many values as the hidden size.
  public func replacingValueSlots(_ slots: [ValueSlot]) -> BERTWeights {
    var result = self
    for (layer, slots) in Dictionary(grouping: slots, by: \.layer) {
      let projection = layers[layer].output
      var values = projection.weight.values
      let columns = projection.weight.columns
      let intermediate = projection.orientation == .inputByOutput ? projection.weight.rows : columns
      for slot in slots {
        precondition(slot.values.count == values.count / intermediate && (0..<intermediate).contains(slot.index))
        for (position, value) in slot.values.enumerated() {
          let place =
            projection.orientation == .inputByOutput
            ? slot.index * columns + position : position * columns + slot.index
          values[place] = value
        }
      }
      result.layers[layer].output.weight = Tensor(shape: projection.weight.shape, values: values)
    }
    return result
  }
}

/// New values for one neuron's row of W2.
public struct ValueSlot: Sendable, Hashable, Codable {
  /// Layer, from 0.
  public let layer: Int
  /// Intermediate unit, from 0.
  public let index: Int
  /// The row, `[hidden]`.
  public let values: [Float]

  /// The row `values` for neuron (`layer`, `index`).
  public init(layer: Int, index: Int, values: [Float]) {
    self.layer = layer
    self.index = index
    self.values = values
  }
}
