import Foundation
import Kernels

/// What a head makes of one goal's prompt: ln P of the word pieces that matter, from which the goal's loss and its gradient with
/// respect to the logits are taken.
struct GoalRow {
  /// The prompt's row in what follows.
  let row: Int
  /// ln P, `[goals, pieces]`.
  let logs: Matrix
  /// P, `[goals, pieces]`, of which ``judge(_:)`` makes the gradient of the loss in this row.
  let gradients: Matrix
  /// P before anything changed, `[goals, pieces]`; empty where no goal asks for it.
  let before: Matrix
  /// Σ p · ln p of each row of ``before``.
  let negativeEntropies: [Double]
  /// The column of each word piece.
  let columns: [Int: Int]

  /// What was found.
  struct Judged {
    /// The loss, without the goal's weight.
    let loss: Double
    /// Whether the loss says which way to go; otherwise its gradient is 0, whatever was left in its place.
    var isSloping = true
    /// What becomes of the answer that the goal names.
    var answer: SlotGradients.Answer?
    /// Of an answer that is kept, by how much its ln P has changed.
    var change: Double?
  }

  /// The loss of `wanted`, whose gradient, less `pull` times that of ln P of an answer that is kept, takes the place of P.
  func judge(_ wanted: OutputGoal.Wanted, pull: Double) -> Judged {
    switch wanted {
    case .answer(let piece, let least): answer(column(of: piece), atLeast: least)
    case .unchanged: unchanged(keeping: nil, pull: 0)
    case .keeping(let piece): unchanged(keeping: column(of: piece), pull: pull)
    case .level(let piece, let probability): level(column(of: piece), at: probability)
    case .amid(let piece, let others, let together):
      amid(column(of: piece), others: others.map(column(of:)), together: together)
    }
  }

  private func answer(_ column: Int, atLeast least: Double) -> Judged {
    let missing = log(least) - Double(logs[row, column])
    let said = said(column)
    gradients[row, column] -= 1
    return Judged(loss: max(0, missing), isSloping: missing > 0, answer: said)
  }

  private func unchanged(keeping column: Int?, pull: Double) -> Judged {
    let (now, own) = (before.rows(row, count: 1), gradients.rows(row, count: 1))
    var loss = negativeEntropies[row] - dot(now, logs.rows(row, count: 1))
    var change: Double?
    // Where ½ (ln P − ln P before)² is added, by its slope: change · (1 at the piece − P).
    if let column {
      let was = max(before[row, column], .leastNormalMagnitude)
      let found = Double(logs[row, column]) - log(Double(was))
      loss += found * found / 2
      let slope = found - pull
      scale(own, by: Float(1 - slope))
      gradients[row, column] += Float(slope)
      change = found
    }
    add(now, times: -1, to: own)
    return Judged(loss: loss, change: change)
  }

  private func level(_ column: Int, at wanted: Double) -> Judged {
    let excess = Double(logs[row, column]) - log(wanted)
    let said = said(column)
    gradients[row, column] -= 1
    if excess > 0 { scale(gradients.rows(row, count: 1), by: -1) }
    return Judged(loss: abs(excess), answer: said)
  }

  private func amid(_ column: Int, others rivals: [Int], together: Double) -> Judged {
    precondition(!rivals.isEmpty)
    let share = 1 / Double(rivals.count)
    let own = logs[row, column]
    let excess = Double(own) - rivals.reduce(0) { $0 + Double(logs[row, $1]) } * share
    var loss = abs(excess)
    let all = rivals + [column]
    // Never 0, which has no logarithm.
    let sum = max(.leastNormalMagnitude, all.reduce(0.0) { $0 + exp(Double(logs[row, $1])) })
    // The softmax's denominator is in both logarithms of the excess, so that only the pieces named have a gradient by it.
    if sum < together {
      loss += log(together) - log(sum)
      for one in all { gradients[row, one] -= Float(exp(Double(logs[row, one])) / sum) }
    } else {
      scale(gradients.rows(row, count: 1), by: 0)
    }
    let sign: Float = excess > 0 ? 1 : -1
    gradients[row, column] += sign
    for rival in rivals { gradients[row, rival] -= sign * Float(share) }
    return Judged(
      loss: loss,
      answer: SlotGradients.Answer(
        probability: exp(Double(own)), isLikeliest: rivals.allSatisfy { logs[row, $0] <= own },
        chance: 1 / Double(rivals.count + 1)))
  }

  /// What becomes of an answer that is compared with all word pieces that matter.
  private func said(_ column: Int) -> SlotGradients.Answer {
    let own = logs[row, column]
    return SlotGradients.Answer(
      probability: exp(Double(own)), isLikeliest: logs.rows(row, count: 1).values.allSatisfy { $0 <= own }, chance: 0)
  }

  private func column(of piece: Int) -> Int {
    guard let column = columns[piece] else {
      preconditionFailure("a goal's word pieces are always among the columns")
    }
    return column
  }
}
