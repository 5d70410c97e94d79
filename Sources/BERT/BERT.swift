import Checkpoint
import Kernels
import Tensors

/// A BERT masked language model: configuration and weights, ready for forward passes and path gradients.
///
/// A value: editing makes another one, which shares all memory but the matrices that differ.
public struct BERT: Sendable {
  /// Sizes and constants.
  public let configuration: BERTConfiguration
  /// The weights.
  public let weights: BERTWeights
  private let rounded: RoundedWeights.Shared
  private let packed: PackedWeights.Shared
  /// What products in float32 are made with; nil for the weights as they lie.
  private var packing: PackedWeights?

  /// A model of weights whose shapes have been checked against `configuration`.
  public init(configuration: BERTConfiguration, weights: BERTWeights) {
    self.init(
      configuration: configuration, weights: weights, rounded: RoundedWeights.Shared(), packed: PackedWeights.Shared())
  }

  private init(
    configuration: BERTConfiguration, weights: BERTWeights, rounded: RoundedWeights.Shared,
    packed: PackedWeights.Shared
  ) {
    self.configuration = configuration
    self.weights = weights
    self.rounded = rounded
    self.packed = packed
  }

  /// The model with some value slots replaced; only the W2 of the layers concerned is copied.
  public func replacing(_ slots: [ValueSlot]) -> BERT {
    let changed = Set(slots.map(\.layer))
    return BERT(
      configuration: configuration, weights: weights.replacingValueSlots(slots),
      rounded: rounded.without(.output, of: changed), packed: packed.without(.output, of: changed))
  }

  var layerCount: Int { configuration.layerCount }
  var hidden: Int { configuration.hiddenSize }
  var epsilon: Float { Float(configuration.layerNormEpsilon) }

  func layer(_ index: Int) -> EncoderLayer {
    let weights = weights.layers[index]
    return EncoderLayer(
      weights: weights, headCount: configuration.headCount, epsilon: epsilon, products: exactProducts(of: index))
  }

  /// Products with a layer's matrices in float32.
  func exactProducts(of index: Int) -> ExactProducts {
    ExactProducts(weights: weights.layers[index], packed: packing?.layers[index])
  }

  /// The model with its layers' matrices and its decoder packed, which takes as much memory again for either way; as it is
  /// where this CPU gains nothing by it.
  ///
  /// They are packed when first asked for, and kept.
  package func packed(threads: ThreadCount) -> BERT {
    var model = self
    model.packing = packed.of(self, threads: threads)
    return model
  }

  /// Bytes that the matrices take when packed, both ways; 0 where this CPU gains nothing by it.
  package var packedWeightBytes: Int {
    guard PackedMatrix.isSupported else { return 0 }
    return 8
      * weights.layers.reduce(weights.wordEmbeddings.count) { sum, layer in
        LayerMatrix.allCases.reduce(sum) { $0 + $1.projection(of: layer).weight.count }
      }
  }

  /// The matrices rounded to bfloat16; nil where this CPU does not multiply it.
  func roundedWeights(threads: ThreadCount) -> RoundedWeights? { rounded.of(self, threads: threads) }

  var head: MaskedLanguageHead {
    MaskedLanguageHead(weights: weights, epsilon: epsilon, packedDecoder: packing?.decoder ?? [])
  }
}

/// Products of rows with the matrix of a projection, whichever way round the checkpoint stores it.
extension BERTWeights.Projection {
  private var isTransposed: Bool { orientation == .outputByInput }

  /// `output = input · W`, without the bias.
  func apply(_ input: Slice, into output: Slice) {
    multiply(input, weight: weight, transposing: isTransposed, into: output)
  }

  /// `gradient · Wᵀ`: from the gradient of the output to that of the input.
  func applyBackward(_ gradient: Slice, into input: Slice, accumulating: Bool = false) {
    multiply(gradient, weight: weight, transposing: !isTransposed, into: input, accumulating: accumulating)
  }
}
