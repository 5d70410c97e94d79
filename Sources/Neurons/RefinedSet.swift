/// The refined sets of a relation's facts: neurons that many prompts of a fact share (Dai et al 2022, section 3.3).
public struct Refinement: Sendable {
  /// A neuron of a refined set.
  public struct Member: Sendable, Hashable {
    /// The neuron.
    public let neuron: Neuron
    /// In how many of the fact's coarse sets it is.
    public let prompts: Int
  }

  /// The share of prompts asked for in the last round.
  public var p: Double { shares.last ?? Self.start }
  /// The shares asked for in all rounds.
  let shares: [Double]
  /// Mean size of the refined sets.
  public let meanSize: Double
  /// The refined set of each fact, sorted by neuron.
  public let sets: [[Member]]

  /// The sizes between which the mean should lie.
  static let wanted = 2.0...5.0
  /// p in the first round, its step, and the number of rounds.
  static let (start, step, rounds) = (0.7, 0.05, 6)
  /// The least number of prompts that must share a neuron, where a fact has that many.
  static let floor = 3

  /// Refines the coarse sets of each fact's prompts.
  ///
  /// p starts at 0.7 for the whole relation and moves by 0.05 while the mean size lies outside [2, 5], six rounds at
  /// most; the last round's sets stand.
  public init(coarseSets: [[Set<Neuron>]]) {
    let counts = coarseSets.map { sets in
      sets.reduce(into: [Neuron: Int]()) { counts, set in for neuron in set { counts[neuron, default: 0] += 1 } }
    }
    var p = Self.start
    var (shares, mean, result) = ([Double](), 0.0, [[Member]]())
    for _ in 0..<Self.rounds {
      result = zip(coarseSets, counts).map { sets, counts in
        let needed = Self.needed(p, of: sets.count)
        return counts.filter { Double($0.value) >= needed }
          .map { Member(neuron: $0.key, prompts: $0.value) }.sorted { $0.neuron < $1.neuron }
      }
      mean = result.isEmpty ? 0 : Double(result.reduce(0) { $0 + $1.count }) / Double(result.count)
      shares.append(p)
      if Self.wanted.contains(mean) { break }
      // Added up as the protocol's reference does, which the last digits of p show.
      p += mean < Self.wanted.lowerBound ? -Self.step : Self.step
    }
    self.shares = shares
    meanSize = mean
    sets = result
  }

  /// How many of `count` prompts must share a neuron.
  static func needed(_ p: Double, of count: Int) -> Double {
    count < floor ? Double(count) : max(p * Double(count), Double(floor))
  }
}
