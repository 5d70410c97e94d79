import BERT

/// Holds the mean ln P of the answers to what the model knows of each other relation where it was, while an erasure changes slots.
///
/// What an erasure changes of another relation is little on each prompt, but has a direction: answers that it shares with the erased
/// one fall nearly everywhere. That they do not fall on the mean is one condition for each relation. Each has a multiplier, by
/// which its answers are pulled up (gradient ascent on the dual problem): it grows by ``rate`` times what they have fallen by on the
/// mean of a step's prompts, shrinks by as much where they have risen, and is never negative.
struct RelationPull {
  /// What a step adds for each nat that answers have fallen.
  let rate: Double
  /// The multiplier of each relation; of those beyond 0.
  private(set) var pulls: [Double] = []

  /// Nothing is pulled yet.
  init(rate: Double) { self.rate = rate }

  /// Takes note of what a step has found: by how much ln P has changed of the answers that its goals keep.
  mutating func note(_ changes: [Double?], of goals: [OutputGoal]) {
    guard rate > 0 else { return }
    var found: [Int: (sum: Double, count: Int)] = [:]
    for (change, goal) in zip(changes, goals) {
      guard let change, let relation = goal.relation else { continue }
      found[relation, default: (0, 0)].sum += change
      found[relation, default: (0, 0)].count += 1
    }
    pulls += Array(repeating: 0, count: max(0, (found.keys.max() ?? -1) + 1 - pulls.count))
    for (relation, own) in found { pulls[relation] = max(0, pulls[relation] - rate * own.sum / Double(own.count)) }
  }
}
