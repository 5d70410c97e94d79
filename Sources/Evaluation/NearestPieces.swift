import BERT

extension MaskedLanguageModel {
  /// A word piece and how closely its embedding points in some direction.
  public struct NearPiece: Sendable, Hashable, Codable {
    /// The word piece.
    public let token: String
    /// Cosine of its embedding and the direction.
    public let cosine: Double
  }

  /// The word pieces whose embeddings lie nearest to each direction, by cosine.
  ///
  /// - Parameters:
  ///   - directions: `[hidden]` each; a zero direction has no neighbours.
  ///   - count: How many to name.
  /// - Complexity: `directions · vocabulary · hidden` multiply-adds.
  public func nearestPieces(to directions: [[Float]], count: Int) -> [[NearPiece]] {
    let hidden = bert.configuration.hiddenSize
    return bert.weights.wordEmbeddings.withUnsafeBufferPointer { embeddings in
      let norms = (0..<bert.configuration.vocabularySize).map { id in
        embeddings[id * hidden..<(id + 1) * hidden].reduce(Float(0)) { $0 + $1 * $1 }.squareRoot()
      }
      return directions.map { direction in
        let size = direction.reduce(Float(0)) { $0 + $1 * $1 }.squareRoot()
        guard size > 0 else { return [] }
        let cosines = norms.indices.map { id -> Float in
          guard norms[id] > 0 else { return -1 }
          var product: Float = 0
          for column in 0..<hidden { product += embeddings[id * hidden + column] * direction[column] }
          return product / (size * norms[id])
        }
        return cosines.indices.sorted { (-cosines[$0], $0) < (-cosines[$1], $1) }.prefix(count).map {
          NearPiece(token: piece($0), cosine: Double(cosines[$0]))
        }
      }
    }
  }
}
