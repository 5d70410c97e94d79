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
  /// - Parameter interventions: Per prompt, or empty.
  /// - Complexity: `12 · L · n · H²` multiply-adds for n word pieces.
  init(_ model: BERT, _ prompts: [EncodedPrompt], interventions: [[Intervention]] = [], tracing: Trace = .masks) {
    var packing = Packing()
    for prompt in prompts { packing.append(length: prompt.ids.count, mask: prompt.mask) }
    self.packing = packing
    let hidden = model.hidden
    var x = Self.embed(model, prompts, packing)
    for index in 0..<model.layerCount {
      let layer = model.layer(index)
      let isLast = index == model.layerCount - 1
      let queryInput = isLast ? Self.gather(x.all, packing.masks) : x
      let queries = Matrix(rows: queryInput.rows, columns: hidden)
      let keys = Matrix(rows: packing.rows, columns: hidden)
      let values = Matrix(rows: packing.rows, columns: hidden)
      layer.project(queryInput.all, layer.weights.query, into: queries.all)
      layer.project(x.all, layer.weights.key, into: keys.all)
      layer.project(x.all, layer.weights.value, into: values.all)
      if tracing != .masks {
        inputs.append(x)
        projections.append((isLast ? nil : queries, keys, values))
      }
      let spans = isLast ? packing.maskSpans : packing.spans
      let probabilities = Matrix(
        rows: 1, columns: model.configuration.headCount * AttentionSpan.probabilityCount(spans))
      let context = Matrix(rows: queries.rows, columns: hidden)
      layer.attend(
        queries: queries.all, keys: keys.all, values: values.all, spans: spans, probabilities: probabilities,
        into: context.all)
      let output = Matrix(rows: queries.rows, columns: hidden)
      let tape = tracing == .pathAndEndpoint ? layer.makeTape(rows: queries.rows) : nil
      if let tape {
        tapes.append(
          LayerTape(
            queries: queries, keys: keys, values: values, spans: spans, probabilities: probabilities, tape: tape))
      }
      let masks = isLast ? Array(0..<packing.count) : packing.masks
      var input = Matrix(rows: 0, columns: hidden)
      var activation = Matrix(rows: 0, columns: model.configuration.intermediateSize)
      var product = Matrix(rows: 0, columns: hidden)
      layer.finish(
        context: context.all, residual: queryInput.all, tape: tape, into: output.all,
        activations: { rows, activations in
          for (prompt, changes) in interventions.enumerated() {
            for change in changes where change.layer == index {
              scale(activations.row(masks[prompt]).columns(change.index, count: 1), by: change.factor)
            }
          }
          input = Self.gather(rows, masks)
          activation = Self.gather(activations, masks)
        }, product: { product = Self.gather($0, masks) })
      feedForwardInputs.append(input)
      activations.append(activation)
      products.append(product)
      x = output
    }
    states = x
  }

  /// Word, position and type embeddings, summed and normalised, `[rows, hidden]`.
  private static func embed(_ model: BERT, _ prompts: [EncodedPrompt], _ packing: Packing) -> Matrix {
    let weights = model.weights
    let x = Matrix(rows: packing.rows, columns: model.hidden)
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
  /// Call it once, after a pass traced with ``Trace/pathAndEndpoint``; it lets go of what only it needs.
  func takeEndpoint(_ model: BERT, _ answers: [Int]) -> (probabilities: [Float], gradients: [Matrix]) {
    let (probabilities, gradient) = model.head.probabilityGradient(states, answers)
    var gradients: [Matrix] = []
    takeBack(model, gradient) { layer, _, _, activations in
      let isLast = layer == model.layerCount - 1
      gradients.append(Self.gather(activations, isLast ? Array(0..<packing.count) : packing.masks))
    }
    return (probabilities, gradients.reversed())
  }

  /// The way back through the whole pass, from the gradient of the final states `[prompts, hidden]`.
  ///
  /// Call it once, after a pass traced with ``Trace/pathAndEndpoint``; it lets go of what only it needs.
  /// - Parameters:
  ///   - lowest: The layer at which to stop.
  ///   - observe: Sees each layer, from the last on: what it kept, and the gradients of W2's output and of the
  ///     activations, for all its rows (in the last layer, the masks').
  func takeBack(
    _ model: BERT, _ gradient: Matrix, downTo lowest: Int = 0,
    _ observe: (_ layer: Int, _ tape: LayerTape, _ output: Slice, _ activations: Slice) -> Void
  ) {
    defer { tapes = [] }
    var gradient = gradient
    let last = model.layerCount - 1
    for index in stride(from: last, through: lowest, by: -1) {
      let layer = model.layer(index)
      let isLast = index == last
      let (queries, keys, values) = layer.backward(gradient.all, tapes[index]) { output, activations in
        observe(index, tapes[index], output, activations)
      }
      guard index > lowest else { break }
      let below = Matrix(rows: packing.rows, columns: model.hidden)
      if isLast {
        // Only the masks asked, so what came back through queries and residual belongs to their rows.
        layer.weights.query.applyBackward(queries.all, into: gradient.all, accumulating: true)
        for (prompt, mask) in packing.masks.enumerated() {
          below.rows(mask, count: 1).copy(from: gradient.rows(prompt, count: 1))
        }
      } else {
        below.all.copy(from: gradient.all)
      }
      layer.projectBackward(
        queryGradient: isLast ? nil : queries.all, keyGradient: keys.all, valueGradient: values.all,
        addingTo: below.all)
      gradient = below
    }
  }

  /// Copies the given rows, in order.
  static func gather(_ slice: Slice, _ rows: [Int]) -> Matrix {
    let result = Matrix(rows: rows.count, columns: slice.columns)
    for (index, row) in rows.enumerated() { result.rows(index, count: 1).copy(from: slice.row(row)) }
    return result
  }
}
