import BERT
import Kernels
import Tensors

/// A word piece and how closely its embedding points in some direction.
public struct NearPiece: Sendable, Hashable, Codable {
  /// The word piece.
  public let token: String
  /// Cosine of its embedding and the direction.
  public let cosine: Double
}

extension MaskedLanguageModel {
  /// The word pieces whose embeddings lie nearest to each direction, and to its opposite, by cosine.
  ///
  /// - Parameters:
  ///   - directions: `[hidden]` each; a zero direction has no neighbours.
  ///   - count: How many to name.
  /// - Complexity: `directions · vocabulary · hidden` multiply-adds, 256 directions at a time.
  public func nearestPieces(
    to directions: [[Float]], count: Int, threads: ThreadCount = .allCores
  ) -> [(towards: [NearPiece], awayFrom: [NearPiece])] {
    let embeddings = bert.weights.wordEmbeddings
    let norms = (0..<embeddings.rows).map { embeddings.row($0).norm }
    let blocks = stride(from: 0, to: directions.count, by: 256).map { $0..<min($0 + 256, directions.count) }
    return concurrently(blocks.count, threads: threads) { block -> [(towards: [NearPiece], awayFrom: [NearPiece])] in
      let own = directions[blocks[block]]
      let rows = Matrix(unfilled: own.count, columns: embeddings.columns)
      for (row, direction) in own.enumerated() { rows.all.copy(direction, toRow: row) }
      let products = Matrix(unfilled: own.count, columns: embeddings.rows)
      multiply(rows.all, weight: embeddings, transposing: true, into: products.all)
      return own.enumerated().map { row, direction in
        let length = direction.norm
        guard length > 0 else { return ([], []) }
        let cosines = zip(products.rows(row, count: 1).values, norms).map {
          $1 > 0 ? $0 / Float(length * $1) : -.infinity
        }
        // A piece without an embedding points nowhere, not away.
        let opposite = cosines.map { $0.isFinite ? -$0 : $0 }
        return (largest(count, of: cosines), largest(count, of: opposite))
      }
    }.flatMap { $0 }
  }

  private func largest(_ count: Int, of cosines: [Float]) -> [NearPiece] {
    var best: [(cosine: Float, id: Int)] = []
    for (id, cosine) in cosines.enumerated() where cosine.isFinite {
      if best.count == count, let last = best.last, cosine <= last.cosine { continue }
      best.insert((cosine, id), at: best.firstIndex { $0.cosine < cosine } ?? best.count)
      if best.count > count { best.removeLast() }
    }
    return best.map { NearPiece(token: piece($0.id), cosine: Double($0.cosine)) }
  }
}
