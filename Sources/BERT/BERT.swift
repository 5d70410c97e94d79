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
  /// What products in float32 are made with; nil for the weights as they lie.
  private let packing: PackedWeights?

  /// A model of weights whose shapes have been checked against `configuration`.
  public init(configuration: BERTConfiguration, weights: BERTWeights) {
    self.init(configuration: configuration, weights: weights, rounded: RoundedWeights.Shared(), packing: nil)
  }

  private init(
    configuration: BERTConfiguration, weights: BERTWeights, rounded: RoundedWeights.Shared, packing: PackedWeights?
  ) {
    self.configuration = configuration
    self.weights = weights
    self.rounded = rounded
    self.packing = packing
  }

  /// The model with some value slots replaced; only the W2 of the layers concerned is copied.
  ///
  /// Of a model with ``packed(threads:)`` weights these W2 alone are no longer packed.
  public func replacing(_ slots: [ValueSlot]) -> BERT {
    let changed = Set(slots.map(\.layer))
    return BERT(
      configuration: configuration, weights: weights.replacingValueSlots(slots),
      rounded: rounded.without(.output, of: changed), packing: packing?.without(.output, of: changed))
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

  /// The model with its layers' matrices and its decoder laid out so that products of few rows need not copy them: for programs
  /// that ask short prompts one by one, again and again.
  ///
  /// For bert-base it takes 0.2 s, and ``packedWeightBytes``, 818 MB, as long as the result lives. Results differ by float32's
  /// rounding from those of the model as it is, which is what comes back where this CPU gains nothing.
  public func packed(threads: ThreadCount = .allCores) -> BERT {
    BERT(
      configuration: configuration, weights: weights, rounded: rounded,
      packing: PackedMatrix.isSupported ? PackedWeights(self, known: packing, threads: threads) : nil)
  }

  /// Bytes that the weights take besides when packed, for the way up and the way back; 0 where this CPU gains nothing by it.
  public var packedWeightBytes: Int {
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
