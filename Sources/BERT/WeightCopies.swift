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

  let layers: [Layer]

  /// Copies what `known` lacks; nil where this CPU has no use for them.
  init?(_ model: BERT, known: [Layer]?, threads: ThreadCount) {
    var layers = known ?? Array(repeating: Layer(), count: model.layerCount)
    let places = (0..<model.layerCount).flatMap { layer in
      Copy.matrices(of: layer, of: model.layerCount).filter { layers[layer][$0] == nil }.map { (layer, $0) }
    }
    let copies = concurrently(places.count, threads: threads) { index -> Projection? in
      let (layer, matrix) = places[index]
      let projection = matrix.projection(of: model.weights.layers[layer])
      let isTransposed = projection.orientation == .outputByInput
      guard let up = Copy(projection.weight, transposing: isTransposed),
        let down = Copy(projection.weight, transposing: !isTransposed)
      else { return nil }
      return Projection(up: up, down: down)
    }
    for ((layer, matrix), projection) in zip(places, copies) {
      guard let projection else { return nil }
      layers[layer][matrix] = projection
    }
    self.layers = layers
  }

  /// The copies for one model, made when first asked for.
  final class Shared: Sendable {
    private let made = Mutex<WeightCopies??>(nil)
    /// Those that another model has and this one shares.
    private let known: [Layer]?

    init(known: [Layer]? = nil) { self.known = known }

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
      var layers = made.withLock { $0??.layers } ?? known
      for layer in changed where layers?.indices.contains(layer) == true { layers?[layer][matrix] = nil }
      return Shared(known: layers)
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

/// Matrices rounded to bfloat16, where points of paths go through whole prompts.
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
