import Checkpoint
import Kernels
import Tensors

/// A change made to one neuron's activation at `[MASK]` while a prompt runs; no weights change.
public struct Intervention: Sendable, Hashable {
  /// Layer, from 0.
  public let layer: Int
  /// Intermediate unit, from 0.
  public let index: Int
  /// What the activation is multiplied by: 0 suppresses, 2 amplifies.
  public let factor: Float

  /// Multiplies the activation of neuron (`layer`, `index`) by `factor`.
  public init(layer: Int, index: Int, factor: Float) {
    self.layer = layer
    self.index = index
    self.factor = factor
  }
}

/// One forward pass of several packed prompts up to the final hidden states at `[MASK]`, with what path gradients
/// start from.
///
/// Written by its initialiser, and by ``takeEndpoint(_:_:)`` before it is shared, hence safe to share between threads.
final class ForwardPass: @unchecked Sendable {
  let packing: Packing
  /// Final hidden states at the masks, `[prompts, hidden]`.
  let states: Matrix
  /// Per layer, the feed-forward block's input at the masks, `[prompts, hidden]`.
  private(set) var feedForwardInputs: [Matrix] = []
  /// Per layer, the activations after GELU at the masks, `[prompts, intermediate]`.
  private(set) var activations: [Matrix] = []
  /// Per layer, activations · W2 at the masks, before bias and residual, `[prompts, hidden]`.
  private(set) var products: [Matrix] = []
  /// Per layer, its input `[rows, hidden]`; empty unless the trace was asked for.
  private(set) var inputs: [Matrix] = []
  /// Per layer, queries (none in the last), keys and values, `[rows, hidden]`; empty unless asked for.
  private(set) var projections: [(queries: Matrix?, keys: Matrix, values: Matrix)] = []

  /// Products that rounded passes start from, by layer; empty unless asked for.
  private var recorded: [Int: RecordedProducts] = [:]
  /// What was decoded of ``states``, where products are recorded.
  private(set) var decoded: MaskedLanguageHead.Decoded?
  /// Per layer, what the way back needs; empty unless asked for.
  private var tapes: [LayerTape] = []

  /// How much of a pass is kept.
  enum Trace {
    /// The masks' rows only.
    case masks
    /// What points that enter above a layer start from.
    case path
    /// That, and what the way back through this pass itself needs, until ``takeEndpoint(_:_:)``.
    case pathAndEndpoint
  }

  /// Runs `prompts` through `model`.
  ///
  /// The last layer computes queries, attention output and feed-forward block at the masks only.
  /// - Parameters:
  ///   - interventions: Per prompt, or empty.
  ///   - tracing: How much is kept.
  ///   - recording: Whether ``products(of:)`` are kept as well.
  /// - Complexity: `12 · L · n · H²` multiply-adds for n word pieces.
  init(
    _ model: BERT, _ prompts: [EncodedPrompt], interventions: [[Intervention]] = [], tracing: Trace = .masks,
    recording: Bool = false
  ) {
    var packing = Packing()
    for prompt in prompts { packing.append(length: prompt.ids.count, mask: prompt.mask) }
    self.packing = packing
    let hidden = model.hidden
    var x = Self.embed(model, prompts, packing)
    for index in 0..<model.layerCount {
      var layer = model.layer(index)
      let isLast = index == model.layerCount - 1
      let matrices = RoundedMatrix.matrices(of: index, of: model.layerCount)
      if recording, !matrices.isEmpty {
        let products = RecordedProducts(model.exactProducts(of: index), matrices)
        recorded[index] = products
        layer.products = products
      }
      let masks = isLast ? Array(0..<packing.count) : packing.masks
      var input = Matrix(rows: 0, columns: hidden)
      var activation = Matrix(rows: 0, columns: model.configuration.intermediateSize)
      var product = Matrix(rows: 0, columns: hidden)
      let (output, kept) = layer.forward(
        x, packing, isLast: isLast, keepsTape: tracing == .pathAndEndpoint,
        activations: { rows, activations in
          for (prompt, changes) in interventions.enumerated() {
            for change in changes where change.layer == index {
              scale(activations.row(masks[prompt]).columns(change.index, count: 1), by: change.factor)
            }
          }
          input = Self.gather(rows, masks)
          activation = Self.gather(activations, masks)
        }, product: { product = Self.gather($0, masks) })
      if tracing != .masks {
        inputs.append(x)
        projections.append((isLast ? nil : kept.queries, kept.keys, kept.values))
      }
      if tracing == .pathAndEndpoint { tapes.append(kept) }
      feedForwardInputs.append(input)
      activations.append(activation)
      products.append(product)
      x = output
    }
    states = x
    if recording { decoded = model.head.decode(x.all) }
  }

  /// The products of a layer's matrices that were recorded.
  func products(of layer: Int) -> RecordedProducts? { recorded[layer] }

  /// Word, position and type embeddings, summed and normalised, `[rows, hidden]`.
  static func embed(_ model: BERT, _ prompts: [EncodedPrompt], _ packing: Packing) -> Matrix {
    let weights = model.weights
    let x = Matrix(unfilled: packing.rows, columns: model.hidden)
    let type = Tensor(shape: [model.hidden], values: weights.typeEmbeddings.row(0))
    for (prompt, start) in zip(prompts, packing.starts) {
      for (position, id) in prompt.ids.enumerated() {
        let row = x.rows(start + position, count: 1)
        row.copy(weights.wordEmbeddings.row(id), toRow: 0)
        add(Tensor(shape: [model.hidden], values: weights.positionEmbeddings.row(position)), to: row)
      }
    }
    add(type, to: x.all)
    layerNormalize(
      x.all, scale: weights.embeddingNorm.scale, shift: weights.embeddingNorm.shift, epsilon: model.epsilon)
    return x
  }

  /// P(answer) of each prompt and, per layer, its gradient with respect to the activations at `[MASK]`,
  /// `[prompts, intermediate]`: the point α = 1 of every layer's path at once, for one way back.
  ///
  /// `maskGradients` are those when `[MASK]` alone follows, of which only its row comes back.
  ///
  /// Call it once, after a pass traced with ``Trace/pathAndEndpoint``; it lets go of what only it needs. Where `rounded` is given,
  /// rows other than those of `[MASK]`, which carry a small part of the gradient, come back through these.
  func takeEndpoint(
    _ model: BERT, _ answers: [Int], rounded: RoundedWeights? = nil
  ) -> (probabilities: [Float], gradients: [Matrix], maskGradients: [Matrix]) {
    defer { tapes = [] }
    let (probabilities, top) = model.head.probabilityGradient(states, answers)
    let last = model.layerCount - 1
    func layer(_ index: Int) -> EncoderLayer {
      var layer = model.layer(index)
      if let rounded {
        layer.products = RoundedReturn(
          exact: model.exactProducts(of: index), weights: rounded.layers[index], packing: packing)
      }
      return layer
    }
    var gradients: [Matrix] = []
    var maskGradients: [Matrix] = []
    /// Keeps what came back to the masks' activations, of whole prompts and of the masks alone.
    func keep(_ activations: Slice) {
      gradients.append(Self.gather(activations, packing.masks))
      maskGradients.append(Self.gather(activations, Array(packing.rows..<packing.rows + packing.count)))
    }
    // In the last layer only the masks asked, so that both are the same.
    let below = layer(last).backwardToInput(top.all, tapes[last], asking: packing.masks) { _, activations in
      gradients.append(Self.gather(activations, Array(0..<packing.count)))
      maskGradients.append(gradients[0])
    }
    let gradient = Matrix(unfilled: packing.rows + packing.count, columns: model.hidden)
    gradient.rows(0, count: packing.rows).copy(from: below.all)
    gradient.rows(packing.rows, count: packing.count).copy(from: Self.gather(below.all, packing.masks).all)
    for index in stride(from: last - 1, through: 0, by: -1) {
      let layer = layer(index)
      if index > 0 {
        layer.backwardToInputs(gradient, tapes[index], packing) { keep($1) }
      } else if let tape = tapes[index].tape {
        // Nothing goes further down, so that only the masks' rows matter.
        let own = Array(packing.rows..<packing.rows + packing.count)
        let activations = layer.activationGradients(
          Self.gather(gradient.all, packing.masks + own).all, tape: tape.rows(packing.masks + packing.masks))
        gradients.append(Self.gather(activations.all, Array(0..<packing.count)))
        maskGradients.append(Self.gather(activations.all, Array(packing.count..<2 * packing.count)))
      }
    }
    return (probabilities, gradients.reversed(), maskGradients.reversed())
  }

  /// Copies the given rows, in order.
  static func gather(_ slice: Slice, _ rows: [Int]) -> Matrix {
    let result = Matrix(unfilled: rows.count, columns: slice.columns)
    for (index, row) in rows.enumerated() { result.rows(index, count: 1).copy(from: slice.row(row)) }
    return result
  }
}
