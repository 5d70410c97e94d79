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

  /// A model of weights whose shapes have been checked against `configuration`.
  public init(configuration: BERTConfiguration, weights: BERTWeights) {
    self.init(configuration: configuration, weights: weights, rounded: RoundedWeights.Shared())
  }

  private init(configuration: BERTConfiguration, weights: BERTWeights, rounded: RoundedWeights.Shared) {
    self.configuration = configuration
    self.weights = weights
    self.rounded = rounded
  }

  /// The model with some value slots replaced; only the W2 of the layers concerned is copied.
  public func replacing(_ slots: [ValueSlot]) -> BERT {
    BERT(
      configuration: configuration, weights: weights.replacingValueSlots(slots),
      rounded: rounded.without(.output, of: Set(slots.map(\.layer))))
  }

  var layerCount: Int { configuration.layerCount }
  var hidden: Int { configuration.hiddenSize }
  var epsilon: Float { Float(configuration.layerNormEpsilon) }

  func layer(_ index: Int) -> EncoderLayer {
    let weights = weights.layers[index]
    return EncoderLayer(
      weights: weights, headCount: configuration.headCount, epsilon: epsilon, products: ExactProducts(weights: weights))
  }

  /// The matrices rounded to bfloat16; nil where this CPU does not multiply it.
  func roundedWeights(threads: ThreadCount) -> RoundedWeights? { rounded.of(self, threads: threads) }

  var head: MaskedLanguageHead { MaskedLanguageHead(weights: weights, epsilon: epsilon) }
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
