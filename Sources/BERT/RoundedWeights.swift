import Checkpoint
import Kernels
import Synchronization

/// A model's matrices rounded to bfloat16, for both ways, where points of paths go through whole prompts.
struct RoundedWeights: Sendable {
  /// One layer's matrices; none of the first layer's, above which alone points enter, and of the last one's only those that
  /// every row goes through.
  typealias Layer = [LayerMatrix: Projection]

  /// One matrix, for the way up and the way back.
  struct Projection: Sendable {
    let up: RoundedMatrix
    let down: RoundedMatrix
  }

  let layers: [Layer]

  /// The matrices of a layer through which whole prompts go.
  static func matrices(of layer: Int, of layerCount: Int) -> [LayerMatrix] {
    if layer == 0 { return [] }
    return layer == layerCount - 1 ? [.key, .value] : LayerMatrix.allCases
  }

  /// Rounds what `known` lacks; nil where this CPU does not multiply bfloat16.
  init?(_ model: BERT, known: [Layer]?, threads: ThreadCount) {
    guard RoundedMatrix.isSupported else { return nil }
    var layers = known ?? Array(repeating: Layer(), count: model.layerCount)
    let places = (0..<model.layerCount).flatMap { layer in
      Self.matrices(of: layer, of: model.layerCount).filter { layers[layer][$0] == nil }.map { (layer, $0) }
    }
    let rounded = concurrently(places.count, threads: threads) { index -> Projection? in
      let (layer, matrix) = places[index]
      let projection = matrix.projection(of: model.weights.layers[layer])
      let isTransposed = projection.orientation == .outputByInput
      guard let up = RoundedMatrix(projection.weight, transposing: isTransposed),
        let down = RoundedMatrix(projection.weight, transposing: !isTransposed)
      else { return nil }
      return Projection(up: up, down: down)
    }
    for ((layer, matrix), projection) in zip(places, rounded) {
      guard let projection else { return nil }
      layers[layer][matrix] = projection
    }
    self.layers = layers
  }

  /// The rounded weights of one model, made when first asked for.
  final class Shared: Sendable {
    private let made = Mutex<RoundedWeights??>(nil)
    /// Those that another model has and this one shares.
    private let known: [Layer]?

    init(known: [Layer]? = nil) { self.known = known }

    func of(_ model: BERT, threads: ThreadCount) -> RoundedWeights? {
      made.withLock { made in
        if let made { return made }
        let weights = RoundedWeights(model, known: known, threads: threads)
        made = .some(weights)
        return weights
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
