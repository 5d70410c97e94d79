/// Where sequences of different lengths lie, one after the other and without padding, in the rows of a matrix.
struct Packing: Sendable {
  /// First row of each sequence.
  private(set) var starts: [Int] = []
  /// Number of rows of each sequence.
  private(set) var lengths: [Int] = []
  /// Row of each sequence's `[MASK]`.
  private(set) var masks: [Int] = []
  /// Rows in all.
  private(set) var rows = 0

  var count: Int { starts.count }

  /// Number of rows of the first `count` sequences.
  func rows(of count: Int) -> Int { count < starts.count ? starts[count] : rows }

  mutating func append(length: Int, mask: Int) {
    starts.append(rows)
    lengths.append(length)
    masks.append(rows + mask)
    rows += length
  }

  /// Attention of every row to the rows of its sequence.
  var spans: [AttentionSpan] {
    AttentionSpan.consecutive(zip(starts, lengths).map { ($0, $1, $0, $1) })
  }

  /// Attention of the masks alone, packed one row a sequence, to the rows of their sequences.
  var maskSpans: [AttentionSpan] {
    AttentionSpan.consecutive(starts.indices.map { ($0, 1, starts[$0], lengths[$0]) })
  }
}

/// The rows that ask and the rows that are asked in one sequence's attention.
struct AttentionSpan: Sendable {
  let queryStart: Int
  let queryCount: Int
  let keyStart: Int
  let keyCount: Int
  /// Where the sequence's probabilities start, per head: `heads · probabilityStart + head · queries · keys`.
  let probabilityStart: Int

  static func consecutive(
    _ ranges: [(queryStart: Int, queryCount: Int, keyStart: Int, keyCount: Int)]
  ) -> [AttentionSpan] {
    var next = 0
    return ranges.map { range in
      defer { next += range.queryCount * range.keyCount }
      return AttentionSpan(
        queryStart: range.queryStart, queryCount: range.queryCount, keyStart: range.keyStart,
        keyCount: range.keyCount, probabilityStart: next)
    }
  }

  /// Probabilities of all spans, per head.
  static func probabilityCount(_ spans: [AttentionSpan]) -> Int {
    spans.last.map { $0.probabilityStart + $0.queryCount * $0.keyCount } ?? 0
  }
}
