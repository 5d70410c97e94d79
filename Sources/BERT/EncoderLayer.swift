import Checkpoint
import Kernels

/// One layer of the encoder, forward and backward side by side.
///
/// Gradients flow to activations only. A pass goes through three steps, so that callers may compute queries, keys
/// and values for fewer rows than they attend with: ``project(_:_:into:)``, ``attend(queries:keys:values:spans:probabilities:into:)``
/// and ``finish(context:residual:tape:into:activations:product:)``.
struct EncoderLayer {
  let weights: BERTWeights.Layer
  let headCount: Int
  let epsilon: Float
  /// How rows are multiplied with ``weights``.
  var products: any LayerProducts

  private var headSize: Int { weights.query.bias.count / headCount }
  var scale: Float { 1 / Float(headSize).squareRoot() }
  private var intermediate: Int { weights.intermediate.bias.count }

  /// What the second half of the layer keeps for the way back; `rows` as given to ``finish(context:residual:tape:into:activations:product:)``.
  final class Tape {
    let attentionUnit: Matrix
    let attentionDeviation: Matrix
    let inputs: Matrix
    let outputUnit: Matrix
    let outputDeviation: Matrix

    init(rows: Int, hidden: Int, intermediate: Int) {
      attentionUnit = Matrix(unfilled: rows, columns: hidden)
      attentionDeviation = Matrix(unfilled: rows, columns: 1)
      inputs = Matrix(unfilled: rows, columns: intermediate)
      outputUnit = Matrix(unfilled: rows, columns: hidden)
      outputDeviation = Matrix(unfilled: rows, columns: 1)
    }

    private init(_ tape: Tape, rows: [Int]) {
      attentionUnit = ForwardPass.gather(tape.attentionUnit.all, rows)
      attentionDeviation = ForwardPass.gather(tape.attentionDeviation.all, rows)
      inputs = ForwardPass.gather(tape.inputs.all, rows)
      outputUnit = ForwardPass.gather(tape.outputUnit.all, rows)
      outputDeviation = ForwardPass.gather(tape.outputDeviation.all, rows)
    }

    /// A copy of some rows, in order.
    func rows(_ rows: [Int]) -> Tape { Tape(self, rows: rows) }
  }

  func makeTape(rows: Int) -> Tape {
    Tape(rows: rows, hidden: weights.query.bias.count, intermediate: intermediate)
  }

  /// `output = input · W + b`, `[rows, hidden]`.
  func project(_ input: Slice, _ matrix: LayerMatrix, into output: Slice) {
    products.apply(matrix, input, into: output)
    add(matrix.projection(of: weights).bias, to: output)
  }

  /// Scaled dot-product attention of every span, `context` `[queries, hidden]`.
  ///
  /// - Parameter probabilities: `[1, headCount · probabilityCount(spans)]`, kept for the way back.
  func attend(
    queries: Slice, keys: Slice, values: Slice, spans: [AttentionSpan], probabilities: Matrix, into context: Slice
  ) {
    divided(headCount * spans.count) { part in
      for index in part {
        let (span, head) = (spans[index / headCount], index % headCount)
        let columns = head * headSize
        let p = block(of: probabilities, span, head)
        let v = values.rows(span.keyStart, count: span.keyCount).columns(columns, count: headSize)
        multiply(
          queries.rows(span.queryStart, count: span.queryCount).columns(columns, count: headSize),
          keys.rows(span.keyStart, count: span.keyCount).columns(columns, count: headSize), transposingB: true,
          scale: scale, into: p)
        softmax(p)
        multiply(
          p, v, into: context.rows(span.queryStart, count: span.queryCount).columns(columns, count: headSize))
      }
    }
  }

  /// The way back through ``attend(queries:keys:values:spans:probabilities:into:)``.
  ///
  /// Writes the gradients of queries, keys and values for every row of every span.
  func attendBackward(
    gradient: Slice, queries: Slice, keys: Slice, values: Slice, spans: [AttentionSpan], probabilities: Matrix,
    queryGradient: Slice, keyGradient: Slice, valueGradient: Slice
  ) {
    let largest = spans.map { $0.queryCount * $0.keyCount }.max() ?? 0
    divided(headCount * spans.count) { indices in
      let scratch = Matrix(unfilled: 1, columns: largest)
      for index in indices {
        let (span, head) = (spans[index / headCount], index % headCount)
        let scores = Slice(
          scratch, offset: 0, rows: span.queryCount, columns: span.keyCount, stride: span.keyCount)
        func part(_ slice: Slice, _ start: Int, _ count: Int) -> Slice {
          slice.rows(start, count: count).columns(head * headSize, count: headSize)
        }
        let p = block(of: probabilities, span, head)
        let g = part(gradient, span.queryStart, span.queryCount)
        multiply(p, transposingA: true, g, into: part(valueGradient, span.keyStart, span.keyCount))
        multiply(g, part(values, span.keyStart, span.keyCount), transposingB: true, into: scores)
        softmaxBackward(scores, probabilities: p, scale: scale)
        multiply(
          scores, part(keys, span.keyStart, span.keyCount),
          into: part(queryGradient, span.queryStart, span.queryCount))
        multiply(
          scores, transposingA: true, part(queries, span.queryStart, span.queryCount),
          into: part(keyGradient, span.keyStart, span.keyCount))
      }
    }
  }

  private func block(of probabilities: Matrix, _ span: AttentionSpan, _ head: Int) -> Slice {
    let size = span.queryCount * span.keyCount
    return Slice(
      probabilities, offset: headCount * span.probabilityStart + head * size, rows: span.queryCount,
      columns: span.keyCount, stride: span.keyCount)
  }

  /// Attention output, residual, normalisation, feed-forward block, residual, normalisation.
  ///
  /// - Parameters:
  ///   - context: What attention gave, `[rows, hidden]`.
  ///   - residual: The layer's input for the same rows, `[rows, hidden]`.
  ///   - tape: Keeps what the way back needs.
  ///   - output: The layer's output, `[rows, hidden]`.
  ///   - observe: Sees the feed-forward block's input `[rows, hidden]` and its activations after GELU
  ///     `[rows, intermediate]`, which it may change, before W2 is applied.
  ///   - product: Sees W2's output before bias and residual, `[rows, hidden]`, which it may change.
  func finish(
    context: Slice, residual: Slice, tape: Tape? = nil, into output: Slice,
    activations observe: (_ input: Slice, _ activations: Slice) -> Void = { _, _ in },
    product: (Slice) -> Void = { _ in }
  ) {
    let input = Matrix(unfilled: context.rows, columns: context.columns)
    products.apply(.attentionOutput, context, into: input.all)
    add(weights.attentionOutput.bias, residual, to: input.all)
    layerNormalize(
      input.all, scale: weights.attentionNorm.scale, shift: weights.attentionNorm.shift, epsilon: epsilon,
      normalized: tape?.attentionUnit.all, deviation: tape?.attentionDeviation.all)
    let activations = Matrix(unfilled: context.rows, columns: intermediate)
    products.apply(.intermediate, input.all, into: activations.all)
    gelu(activations.all, bias: weights.intermediate.bias, inputs: tape?.inputs.all)
    observe(input.all, activations.all)
    products.apply(.output, activations.all, into: output)
    product(output)
    finishFeedForward(
      output, residual: input.all, normalized: tape?.outputUnit.all, deviation: tape?.outputDeviation.all)
  }

  /// The last step of the feed-forward block, in place: bias, residual, normalisation.
  func finishFeedForward(_ rows: Slice, residual: Slice, normalized: Slice? = nil, deviation: Slice? = nil) {
    add(weights.output.bias, residual, to: rows)
    layerNormalize(
      rows, scale: weights.outputNorm.scale, shift: weights.outputNorm.shift, epsilon: epsilon,
      normalized: normalized, deviation: deviation)
  }

  /// The way back through ``finish(context:residual:tape:into:activations:product:)``.
  ///
  /// - Parameters:
  ///   - gradient: With respect to the output, `[rows, hidden]`; afterwards with respect to the residual.
  ///   - context: Receives the gradient with respect to the context, `[rows, hidden]`.
  ///   - observe: Sees the gradients with respect to W2's output, `[rows, hidden]`, and to the activations after GELU,
  ///     `[rows, intermediate]`.
  func finishBackward(
    _ gradient: Slice, tape: Tape, context: Slice,
    feedForward observe: (_ output: Slice, _ activations: Slice) -> Void = { _, _ in }
  ) {
    let activations = activationGradients(gradient, tape: tape)
    observe(gradient, activations.all)
    geluBackward(activations.all, at: tape.inputs.all)
    products.applyBackward(.intermediate, activations.all, into: gradient, accumulating: true)
    layerNormalizeBackward(
      gradient, scale: weights.attentionNorm.scale, normalized: tape.attentionUnit.all,
      deviation: tape.attentionDeviation.all)
    products.applyBackward(.attentionOutput, gradient, into: context, accumulating: false)
  }

  /// The way back from the layer's output to its activations after GELU, `[rows, intermediate]`.
  ///
  /// - Parameter gradient: With respect to the output, `[rows, hidden]`; afterwards to W2's output.
  func activationGradients(_ gradient: Slice, tape: Tape) -> Matrix {
    layerNormalizeBackward(
      gradient, scale: weights.outputNorm.scale, normalized: tape.outputUnit.all,
      deviation: tape.outputDeviation.all)
    let activations = Matrix(unfilled: gradient.rows, columns: intermediate)
    products.applyBackward(.output, gradient, into: activations.all, accumulating: false)
    return activations
  }

  /// Adds to `input` what comes back through the three projections.
  func projectBackward(queryGradient: Slice?, keyGradient: Slice, valueGradient: Slice, addingTo input: Slice) {
    if let queryGradient { products.applyBackward(.query, queryGradient, into: input, accumulating: true) }
    products.applyBackward(.key, keyGradient, into: input, accumulating: true)
    products.applyBackward(.value, valueGradient, into: input, accumulating: true)
  }
}

/// What a layer keeps of one pass for the way back through all of it.
struct LayerTape {
  /// `[queries, hidden]`.
  let queries: Matrix
  /// `[rows, hidden]`.
  let keys: Matrix
  /// `[rows, hidden]`.
  let values: Matrix
  let spans: [AttentionSpan]
  let probabilities: Matrix
  /// nil where the way back was not asked for.
  let tape: EncoderLayer.Tape?
  /// Of lone masks' attention, where there are any.
  var lone: LoneMasks.Tape?
}

extension EncoderLayer {
  /// The whole layer upwards; the last one computes everything but keys and values at the masks only.
  ///
  /// - Parameters:
  ///   - x: Its input, `[rows, hidden]`.
  ///   - isLast: Whether only the masks ask.
  ///   - keepsTape: Whether to keep what the way back needs.
  ///   - observe: As in ``finish(context:residual:tape:into:activations:product:)``.
  /// - Returns: The output, `[rows, hidden]` or `[prompts, hidden]`, and what was kept on the way.
  func forward(
    _ x: Matrix, _ packing: Packing, isLast: Bool, keepsTape: Bool,
    activations observe: (_ input: Slice, _ activations: Slice) -> Void = { _, _ in },
    product: (Slice) -> Void = { _ in }
  ) -> (output: Matrix, kept: LayerTape) {
    let hidden = weights.query.bias.count
    let queryInput = isLast ? ForwardPass.gather(x.all, packing.masks) : x
    let queries = Matrix(unfilled: queryInput.rows, columns: hidden)
    let keys = Matrix(unfilled: packing.rows, columns: hidden)
    let values = Matrix(unfilled: packing.rows, columns: hidden)
    project(queryInput.all, .query, into: queries.all)
    project(x.all, .key, into: keys.all)
    project(x.all, .value, into: values.all)
    return forward(
      queries: queries, keys: keys, values: values, residual: queryInput.all,
      spans: isLast ? packing.maskSpans : packing.spans, keepsTape: keepsTape, activations: observe, product: product)
  }

  /// The layer from its projections upwards.
  ///
  /// - Parameters:
  ///   - queries: `[queries, hidden]`.
  ///   - keys: `[rows, hidden]`.
  ///   - values: `[rows, hidden]`.
  ///   - residual: The layer's input of the rows that ask, `[queries, hidden]`.
  ///   - spans: Who asks whom.
  ///   - lone: Rows that ask traced ones besides their own, in no span.
  ///   - keepsTape: Whether to keep what the way back needs.
  ///   - observe: As in ``finish(context:residual:tape:into:activations:product:)``.
  /// - Returns: The output, `[queries, hidden]`, and what was kept on the way.
  func forward(
    queries: Matrix, keys: Matrix, values: Matrix, residual: Slice, spans: [AttentionSpan],
    lone: LoneMasks? = nil, keepsTape: Bool,
    activations observe: (_ input: Slice, _ activations: Slice) -> Void = { _, _ in },
    product: (Slice) -> Void = { _ in }
  ) -> (output: Matrix, kept: LayerTape) {
    let hidden = weights.query.bias.count
    let probabilities = Matrix(unfilled: 1, columns: headCount * AttentionSpan.probabilityCount(spans))
    let context = Matrix(unfilled: queries.rows, columns: hidden)
    attend(
      queries: queries.all, keys: keys.all, values: values.all, spans: spans, probabilities: probabilities,
      into: context.all)
    let loneTape = lone.map { attend($0, queries: queries, keys: keys, values: values, into: context) }
    let output = Matrix(unfilled: queries.rows, columns: hidden)
    let tape = keepsTape ? makeTape(rows: queries.rows) : nil
    finish(
      context: context.all, residual: residual, tape: tape, into: output.all, activations: observe, product: product)
    return (
      output,
      LayerTape(
        queries: queries, keys: keys, values: values, spans: spans, probabilities: probabilities, tape: tape,
        lone: loneTape)
    )
  }

  /// The way back from a layer's output to its queries, keys, values and residual.
  ///
  /// - Parameters:
  ///   - gradient: With respect to the output, `[queries, hidden]`; afterwards with respect to the residual.
  ///   - tape: Of a pass that kept what the way back needs.
  ///   - observe: Sees the gradients with respect to W2's output, `[queries, hidden]`, and to the activations after GELU,
  ///     `[queries, intermediate]`.
  func backward(
    _ gradient: Slice, _ tape: LayerTape,
    feedForward observe: (_ output: Slice, _ activations: Slice) -> Void = { _, _ in }
  ) -> (queries: Matrix, keys: Matrix, values: Matrix) {
    let hidden = weights.query.bias.count
    let context = Matrix(unfilled: gradient.rows, columns: hidden)
    if let own = tape.tape { finishBackward(gradient, tape: own, context: context.all, feedForward: observe) }
    let queries = Matrix(unfilled: tape.queries.rows, columns: hidden)
    let keys = Matrix(unfilled: tape.keys.rows, columns: hidden)
    let values = Matrix(unfilled: tape.keys.rows, columns: hidden)
    attendBackward(
      gradient: context.all, queries: tape.queries.all, keys: tape.keys.all, values: tape.values.all,
      spans: tape.spans, probabilities: tape.probabilities, queryGradient: queries.all, keyGradient: keys.all,
      valueGradient: values.all)
    if let lone = tape.lone {
      attendBackward(gradient: context, lone, queryGradient: queries, keyGradient: keys, valueGradient: values)
    }
    return (queries, keys, values)
  }

  /// The way back from a layer's output to its input, `[rows, hidden]`; `gradient` is used up.
  ///
  /// - Parameters:
  ///   - rows: Which rows of keys and values the input's are; nil for all. Nothing comes back through others.
  ///   - asking: Which of the input's rows asked, one for each row of `gradient`; nil for all.
  ///   - observe: As in ``backward(_:_:feedForward:)``.
  func backwardToInput(
    _ gradient: Slice, _ tape: LayerTape, rows: [Int]? = nil, asking: [Int]? = nil,
    feedForward observe: (_ output: Slice, _ activations: Slice) -> Void = { _, _ in }
  ) -> Matrix {
    let (queries, keys, values) = backward(gradient, tape, feedForward: observe)
    func own(_ all: Matrix) -> Matrix { rows.map { ForwardPass.gather(all.all, $0) } ?? all }
    let below = Matrix(rows: rows?.count ?? keys.rows, columns: gradient.columns)
    if let asking {
      // What came back through queries and residual belongs to the rows that asked.
      products.applyBackward(.query, queries.all, into: gradient, accumulating: true)
      for (query, row) in asking.enumerated() { below.rows(row, count: 1).copy(from: gradient.row(query)) }
    } else {
      below.all.copy(from: gradient)
    }
    projectBackward(
      queryGradient: asking == nil ? queries.all : nil, keyGradient: own(keys).all, valueGradient: own(values).all,
      addingTo: below.all)
    return below
  }

  /// The way back from a layer's output to its input of whole prompts and, in further rows, of the masks when nothing comes
  /// back through other rows, so that each matrix is read once for both.
  ///
  /// - Parameters:
  ///   - gradient: With respect to the output, `[rows + prompts, hidden]`; afterwards to the input.
  ///   - tape: Of a pass of whole prompts that kept what the way back needs.
  ///   - observe: As in ``backward(_:_:feedForward:)``, of all these rows.
  func backwardToInputs(
    _ gradient: Matrix, _ tape: LayerTape, _ packing: Packing,
    feedForward observe: (_ output: Slice, _ activations: Slice) -> Void
  ) {
    let context = Matrix(unfilled: gradient.rows, columns: gradient.columns)
    if let own = tape.tape {
      finishBackward(
        gradient.all, tape: own.rows(Array(0..<packing.rows) + packing.masks), context: context.all,
        feedForward: observe)
    }
    func both() -> Matrix { Matrix(unfilled: gradient.rows, columns: gradient.columns) }
    let (queries, keys, values) = (both(), both(), both())
    attendBackward(
      gradient: context.rows(0, count: packing.rows), queries: tape.queries.all, keys: tape.keys.all,
      values: tape.values.all, spans: tape.spans, probabilities: tape.probabilities,
      queryGradient: queries.rows(0, count: packing.rows), keyGradient: keys.rows(0, count: packing.rows),
      valueGradient: values.rows(0, count: packing.rows))
    let masks = atMasks(tape, packing)
    let (maskKeys, maskValues) = (
      Matrix(unfilled: packing.rows, columns: gradient.columns),
      Matrix(unfilled: packing.rows, columns: gradient.columns)
    )
    attendBackward(
      gradient: context.rows(packing.rows, count: packing.count), queries: masks.queries.all, keys: masks.keys.all,
      values: masks.values.all, spans: masks.spans, probabilities: masks.probabilities,
      queryGradient: queries.rows(packing.rows, count: packing.count), keyGradient: maskKeys.all,
      valueGradient: maskValues.all)
    keys.rows(packing.rows, count: packing.count).copy(from: ForwardPass.gather(maskKeys.all, packing.masks).all)
    values.rows(packing.rows, count: packing.count).copy(from: ForwardPass.gather(maskValues.all, packing.masks).all)
    projectBackward(
      queryGradient: queries.all, keyGradient: keys.all, valueGradient: values.all, addingTo: gradient.all)
  }

  /// Queries and probabilities of a pass of whole prompts, as if only the masks had asked.
  private func atMasks(_ tape: LayerTape, _ packing: Packing) -> LayerTape {
    let spans = packing.maskSpans
    let probabilities = Matrix(unfilled: 1, columns: headCount * AttentionSpan.probabilityCount(spans))
    for (prompt, (own, whole)) in zip(spans, tape.spans).enumerated() {
      for head in 0..<headCount {
        block(of: probabilities, own, head).copy(
          from: block(of: tape.probabilities, whole, head).row(packing.masks[prompt] - packing.starts[prompt]))
      }
    }
    return LayerTape(
      queries: ForwardPass.gather(tape.queries.all, packing.masks), keys: tape.keys, values: tape.values, spans: spans,
      probabilities: probabilities, tape: nil)
  }
}
