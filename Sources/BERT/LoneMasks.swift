import Kernels

/// Rows of `[MASK]` that ask traced prompts in which they alone have changed.
///
/// Keys and values of all other rows are the traced ones, so that all such rows of a prompt ask them together, and each its own
/// besides.
struct LoneMasks {
  /// The rows of one prompt.
  struct Prompt {
    /// Which of ``LoneMasks/ownRows`` they are.
    let rows: Range<Int>
    /// Where its traced rows start.
    let keyStart: Int
    /// Number of its traced rows.
    let keyCount: Int
    /// Which of them is `[MASK]`.
    let mask: Int
    /// Where the probabilities start, per head: `heads · probabilityStart + head · rows · keys`.
    let probabilityStart: Int
  }

  let prompts: [Prompt]
  /// Where their queries are, prompt after prompt.
  let queryRows: [Int]
  /// Where their keys and values are, in the same order.
  let ownRows: [Int]
  /// The traced keys, `[traced rows, hidden]`.
  let keys: Matrix
  /// The traced values, `[traced rows, hidden]`.
  let values: Matrix

  /// Probabilities in all, per head.
  var probabilityCount: Int {
    prompts.last.map { $0.probabilityStart + $0.rows.count * $0.keyCount } ?? 0
  }

  /// What the way back needs, rows in the order of ``ownRows``.
  struct Tape {
    let lone: LoneMasks
    let queries: Matrix
    let keys: Matrix
    let values: Matrix
    /// `[1, headCount · probabilityCount]`.
    let probabilities: Matrix
  }
}

extension EncoderLayer {
  /// Scaled dot-product attention of lone masks, written to their rows of `context` `[queries, hidden]`.
  func attend(_ lone: LoneMasks, queries: Matrix, keys: Matrix, values: Matrix, into context: Matrix) -> LoneMasks.Tape
  {
    let tape = LoneMasks.Tape(
      lone: lone, queries: ForwardPass.gather(queries.all, lone.queryRows),
      keys: ForwardPass.gather(keys.all, lone.ownRows), values: ForwardPass.gather(values.all, lone.ownRows),
      probabilities: Matrix(unfilled: 1, columns: headCount * lone.probabilityCount))
    let found = Matrix(unfilled: lone.queryRows.count, columns: context.columns)
    forEach(tape) { part in
      let p = part.probabilities
      let mask = p.columns(part.mask, count: 1)
      let (q, result) = (part.own(tape.queries), part.own(found))
      multiply(q, part.traced(lone.keys), transposingB: true, scale: scale, into: p)
      multiplyRows(q, part.own(tape.keys), scale: scale, into: mask)
      softmax(p)
      multiply(p, part.traced(lone.values), into: result)
      add(part.own(tape.values), minus: part.traced(lone.values).row(part.mask), timesRows: mask, to: result)
    }
    for (row, query) in lone.queryRows.enumerated() {
      context.rows(query, count: 1).copy(from: found.rows(row, count: 1))
    }
    return tape
  }

  /// The way back through ``attend(_:queries:keys:values:into:)``.
  ///
  /// Writes the gradients of queries, keys and values of the lone masks' own rows.
  func attendBackward(
    gradient: Matrix, _ tape: LoneMasks.Tape, queryGradient: Matrix, keyGradient: Matrix, valueGradient: Matrix
  ) {
    let lone = tape.lone
    let asked = ForwardPass.gather(gradient.all, lone.queryRows)
    let queries = Matrix(unfilled: asked.rows, columns: asked.columns)
    let (keys, values) = (
      Matrix(rows: asked.rows, columns: asked.columns), Matrix(rows: asked.rows, columns: asked.columns)
    )
    forEach(tape) { part in
      let p = part.probabilities
      let scores = Matrix(unfilled: p.rows, columns: p.columns)
      let (g, mask) = (part.own(asked), scores.all.columns(part.mask, count: 1))
      add(g, timesRows: p.columns(part.mask, count: 1), to: part.own(values))
      multiply(g, part.traced(lone.values), transposingB: true, into: scores.all)
      multiplyRows(g, part.own(tape.values), into: mask)
      softmaxBackward(scores.all, probabilities: p, scale: scale)
      multiply(scores.all, part.traced(lone.keys), into: part.own(queries))
      add(
        part.own(tape.keys), minus: part.traced(lone.keys).row(part.mask), timesRows: mask, to: part.own(queries))
      add(part.own(tape.queries), timesRows: mask, to: part.own(keys))
    }
    for (row, (query, own)) in zip(lone.queryRows, lone.ownRows).enumerated() {
      queryGradient.rows(query, count: 1).copy(from: queries.rows(row, count: 1))
      keyGradient.rows(own, count: 1).copy(from: keys.rows(row, count: 1))
      valueGradient.rows(own, count: 1).copy(from: values.rows(row, count: 1))
    }
  }

  /// One head's part of one prompt.
  private struct Part {
    let prompt: LoneMasks.Prompt
    let columns: Range<Int>
    /// `[rows, keys]`.
    let probabilities: Slice

    var mask: Int { prompt.mask }

    func own(_ matrix: Matrix) -> Slice {
      matrix.rows(prompt.rows.lowerBound, count: prompt.rows.count).columns(columns.lowerBound, count: columns.count)
    }

    func traced(_ matrix: Matrix) -> Slice {
      matrix.rows(prompt.keyStart, count: prompt.keyCount).columns(columns.lowerBound, count: columns.count)
    }
  }

  private func forEach(_ tape: LoneMasks.Tape, _ body: (Part) -> Void) {
    let prompts = tape.lone.prompts
    let headSize = tape.queries.columns / headCount
    divided(headCount * prompts.count) { indices in
      for index in indices {
        let (prompt, head) = (prompts[index / headCount], index % headCount)
        let size = prompt.rows.count * prompt.keyCount
        body(
          Part(
            prompt: prompt, columns: head * headSize..<(head + 1) * headSize,
            probabilities: Slice(
              tape.probabilities, offset: headCount * prompt.probabilityStart + head * size, rows: prompt.rows.count,
              columns: prompt.keyCount, stride: prompt.keyCount)))
      }
    }
  }
}
