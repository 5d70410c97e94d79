import Checkpoint
import Kernels
import Synchronization
import Tensors

/// Copies of a model's matrices in another layout, for the way up and the way back.
struct WeightCopies<Copy: WeightCopy>: Sendable {
  /// One layer's matrices, those of ``WeightCopy/matrices(of:of:)``.
  typealias Layer = [LayerMatrix: Projection]

  /// One matrix, for the way up and the way back.
  struct Projection: Sendable {
    let up: Copy
    let down: Copy
  }

  /// By layer.
  private(set) var layers: [Layer]
  /// The decoder's, part after part as ``MaskedLanguageHead/decodedParts`` has them.
  private(set) var decoder: [Projection]

  /// Copies what `known` lacks; nil where this CPU has no use for them.
  init?(_ model: BERT, known: WeightCopies?, threads: ThreadCount) {
    layers = known?.layers ?? Array(repeating: Layer(), count: model.layerCount)
    decoder = known?.decoder ?? []
    var missing: [(layer: Int, matrix: LayerMatrix)] = []
    for layer in layers.indices {
      for matrix in Copy.matrices(of: layer, of: model.layerCount) where layers[layer][matrix] == nil {
        missing.append((layer, matrix))
      }
    }
    let places = missing
    let copies = concurrently(places.count, threads: threads) { index -> Projection? in
      let projection = places[index].matrix.projection(of: model.weights.layers[places[index].layer])
      return Self.projection(projection.weight, isTransposed: projection.orientation == .outputByInput)
    }
    for ((layer, matrix), copy) in zip(places, copies) {
      guard let copy else { return nil }
      layers[layer][matrix] = copy
    }
    guard decoder.isEmpty else { return }
    let parts = model.head.decodedParts
    for copy in concurrently(
      parts.count, threads: threads,
      { index in
        Self.projection(model.weights.wordEmbeddings.part(parts[index]), isTransposed: true)
      })
    {
      guard let copy else { return nil }
      decoder.append(copy)
    }
  }

  private static func projection(_ weight: Tensor, isTransposed: Bool) -> Projection? {
    guard let up = Copy(weight, transposing: isTransposed), let down = Copy(weight, transposing: !isTransposed)
    else { return nil }
    return Projection(up: up, down: down)
  }

  /// Without one matrix of some layers.
  func without(_ matrix: LayerMatrix, of changed: Set<Int>) -> WeightCopies {
    var rest = self
    for layer in changed where rest.layers.indices.contains(layer) { rest.layers[layer][matrix] = nil }
    return rest
  }

  /// The copies for one model, made when first asked for.
  final class Shared: Sendable {
    private let made = Mutex<WeightCopies??>(nil)
    /// Those that another model has and this one shares.
    private let known: WeightCopies?

    init(known: WeightCopies? = nil) { self.known = known }

    func of(_ model: BERT, threads: ThreadCount) -> WeightCopies? {
      made.withLock { made in
        if let made { return made }
        let copies = WeightCopies(model, known: known, threads: threads)
        made = .some(copies)
        return copies
      }
    }

    /// For a model in which one matrix of some layers is another; shares what has been made of the rest.
    func without(_ matrix: LayerMatrix, of changed: Set<Int>) -> Shared {
      let all = made.withLock { $0 ?? nil } ?? known
      return Shared(known: all?.without(matrix, of: changed))
    }
  }
}

/// A layout in which a model's matrices may be kept besides.
protocol WeightCopy: Sendable {
  /// The matrices of a layer that are copied.
  static func matrices(of layer: Int, of layerCount: Int) -> [LayerMatrix]

  /// A copy of `weight`, `[inputs, outputs]`, or `[outputs, inputs]` when `transposing`; nil where this CPU has no use for it.
  init?(_ weight: Tensor, transposing: Bool)
}

/// Matrices rounded to bfloat16, where points of paths go through whole prompts, and the decoder, through which all points go.
typealias RoundedWeights = WeightCopies<RoundedMatrix>

extension RoundedMatrix: WeightCopy {
  /// The matrices of a layer through which whole prompts go: none of the first layer's, above which alone points enter, and of
  /// the last one's only those that every row goes through.
  static func matrices(of layer: Int, of layerCount: Int) -> [LayerMatrix] {
    if layer == 0 { return [] }
    return layer == layerCount - 1 ? [.key, .value] : LayerMatrix.allCases
  }
}

/// Matrices in float32 for prompts so few that the copying of every product would take longer than the product.
typealias PackedWeights = WeightCopies<PackedMatrix>

extension PackedMatrix: WeightCopy {
  static func matrices(of layer: Int, of layerCount: Int) -> [LayerMatrix] { LayerMatrix.allCases }
}
