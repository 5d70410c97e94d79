/// What a mistyped name may have meant.
struct NearMisses {
  /// The closest candidates, at most five: fewest edits first, then in natural order.
  let closest: [String]

  /// Ranks `candidates` by the number of letters to insert, delete, replace or swap with a neighbour (the
  /// optimal string alignment distance), whatever their case; those more than a third of the name away are
  /// left out.
  init(of name: String, among candidates: some Collection<String>) {
    let wanted = Array(name.lowercased())
    let limit = max(1, wanted.count / 3)
    var found: [(distance: Int, name: String)] = []
    for candidate in candidates {
      let letters = Array(candidate.lowercased())
      if abs(letters.count - wanted.count) > limit { continue }
      let distance = Self.distance(wanted, letters)
      if distance <= limit { found.append((distance, candidate)) }
    }
    found.sort { ($0.distance, NaturalOrder($0.name)) < ($1.distance, NaturalOrder($1.name)) }
    // Far candidates say nothing once a near one is known.
    let nearest = found.first?.distance ?? 0
    closest = found.prefix(5).filter { $0.distance <= nearest + 1 }.map(\.name)
  }

  private static func distance(_ left: [Character], _ right: [Character]) -> Int {
    if left.isEmpty || right.isEmpty { return max(left.count, right.count) }
    var beforeLast = [Int](repeating: 0, count: right.count + 1)
    var last = Array(0...right.count)
    for row in 1...left.count {
      var current = [Int](repeating: row, count: right.count + 1)
      for column in 1...right.count {
        let same = left[row - 1] == right[column - 1]
        current[column] = min(last[column] + 1, current[column - 1] + 1, last[column - 1] + (same ? 0 : 1))
        if row > 1, column > 1, left[row - 1] == right[column - 2], left[row - 2] == right[column - 1] {
          current[column] = min(current[column], beforeLast[column - 2] + 1)
        }
      }
      (beforeLast, last) = (last, current)
    }
    return last[right.count]
  }
}
