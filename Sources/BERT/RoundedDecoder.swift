import Foundation
import Kernels

/// The decoder's products in bfloat16, where points of paths go through it.
///
/// What may matter by itself stays exact: the answer and every other piece that has much of what the answer leaves. Of the rest,
/// only the difference to the traced pass is rounded. What rounding takes off it moves all logits together, by the rest's mean row
/// of the decoder times that, which is put back; what it takes off the decoder's rows differs from piece to piece, and averages.
struct RoundedDecoder {
  let head: MaskedLanguageHead
  /// The decoder's parts, as ``MaskedLanguageHead/decodedParts`` has them.
  let parts: [RoundedWeights.Projection]
  /// What was decoded in the traced pass.
  let traced: MaskedLanguageHead.Decoded
  /// The traced prompt of each row.
  let prompts: [Int]

  /// Of the softmax of all pieces but the answer, a piece that has more than this is taken exactly.
  ///
  /// Errors of the others average: √(this · their share) of a single piece's is left at most.
  private static let largestShare = 1.0 / 4096

  /// Rows that are decoded together: their logits of all pieces are kept until the likely ones are known.
  static let mostRows = 128

  /// What is to be known of all pieces but the answers, of rows as the decoder multiplies them, `[rows, hidden]`.
  func others(_ transformed: Slice, _ answers: [Int]) -> MaskedLanguageHead.Others {
    let means = Matrix(rows: transformed.rows, columns: transformed.columns)
    var logSums: [Double] = []
    for start in stride(from: 0, to: transformed.rows, by: Self.mostRows) {
      let count = min(Self.mostRows, transformed.rows - start)
      logSums += addMeans(
        transformed.rows(start, count: count), Array(answers[start..<start + count]),
        Array(prompts[start..<start + count]), to: means.rows(start, count: count))
    }
    return MaskedLanguageHead.Others(logSums: logSums, means: means)
  }

  private func addMeans(_ transformed: Slice, _ answers: [Int], _ prompts: [Int], to means: Slice) -> [Double] {
    let decoder = head.weights.wordEmbeddings
    let ranges = head.decodedParts
    let differences = ForwardPass.gather(transformed, Array(answers.indices))
    for (row, prompt) in prompts.enumerated() {
      add(traced.states.rows(prompt, count: 1), times: -1, to: differences.rows(row, count: 1))
    }
    let rounded = RoundedRows(rows: differences.rows, columns: differences.columns)
    rounded.round(differences.all, at: 0)
    var partSums: [[Double]] = []
    let shares = zip(parts, ranges).map { part, pieces in
      let logits = multiply(rounded, part.up).rows(0, count: transformed.rows)
      for (row, prompt) in prompts.enumerated() {
        add(
          traced.logits.rows(prompt, count: 1).columns(pieces.lowerBound, count: pieces.count), to: logits.row(row))
      }
      partSums.append(head.shares(logits, pieces, without: answers))
      return logits
    }

    var logSums: [Double] = []
    for row in answers.indices {
      var sum = partSums.reduce(-.infinity) { MaskedLanguageHead.logSum($0, $1[row]) }
      var likely: [(piece: Int, logit: Double)] = []
      var change = 0.0
      for (part, pieces) in ranges.enumerated() {
        let partShare = exp(partSums[part][row] - sum)
        let own = shares[part].row(row)
        for column in columns(of: own, above: Self.largestShare / partShare) {
          let piece = pieces.lowerBound + column
          let logit = dot(transformed.row(row), row: piece, of: decoder) + head.weights.decoderBias(piece)
          let value = own.columns(column, count: 1)
          likely.append((piece, logit))
          change += exp(logit - sum) - partShare * Double(value.values[0])
          scale(value, by: 0)
        }
      }
      sum += log1p(change)
      for (piece, logit) in likely {
        add(row: piece, of: decoder, times: Float(exp(logit - sum)), to: means.row(row))
      }
      logSums.append(sum)
    }

    let rest = rounded.rest(of: differences.all)
    var leftOut = logSums.map { _ in 0.0 }
    for (part, own) in shares.enumerated() {
      for row in answers.indices { scale(own.row(row), by: Float(exp(partSums[part][row] - logSums[row]))) }
      let roundedShares = RoundedRows(rows: own.rows, columns: own.columns)
      roundedShares.round(own, at: 0)
      let partMeans = multiply(roundedShares, parts[part].down).rows(0, count: own.rows)
      add(partMeans, to: means)
      for row in answers.indices { leftOut[row] += dot(partMeans.row(row), rest.rows(row, count: 1)) }
    }
    return zip(logSums, leftOut).map(+)
  }
}
