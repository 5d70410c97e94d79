import BERT
import Foundation
import Kernels
import Neurons

/// How a change of value slots is written, and so what an optimisation may vary.
public enum ChangeForm: String, Sendable, Hashable, Codable, CaseIterable {
  /// A key times a value for each question and layer: Δ = Σ w ⊗ v, of which only the values v vary.
  case keyed
  /// Every slot by itself.
  case free
  /// As many combinations of the slots of each layer, each of which neighbours excite as much as any other and
  /// independently of it.
  case whitened
}

/// The directions in which value slots may move together: a change Δ `[slots, hidden]` is Wᵀ · V, with V
/// `[directions, hidden]` free.
struct SlotDirections {
  /// W, `[directions, slots]`.
  let weights: Matrix
  /// Of keys, per layer, what they are made of.
  private var keys: [Keys] = []

  /// The keys of one layer, each a value for each of the neurons at `positions`.
  private struct Keys {
    let positions: [Int]
    let place: PromptPosition
    var rows: [[Float]] = []
  }

  /// Every slot by itself.
  init(free count: Int) {
    weights = Matrix(rows: count, columns: count)
    for index in 0..<count { weights[index, index] = 1 }
  }

  /// What a layer's mean square activation counts on the diagonal of its second moments beside these: a combination that no
  /// neighbour excites may be excited by prompts that are none, and moves less than twice as fast as others.
  static let whiteningRidge = 0.3

  /// As many directions as neurons, of each layer those in which a step of one size disturbs neighbours equally.
  ///
  /// With C = L · Lᵀ the mean of x xᵀ over the neighbours, x a layer's activations at `[MASK]`, plus ridge · I, the layer's part
  /// of W is L⁻¹, of which W · C · Wᵀ = I, times the root of the mean of x². So what erases most beside what it disturbs has the
  /// steepest slope; by single slots, which fire together, an erasure disturbs first and makes it good afterwards.
  init(whitening neurons: [Neuron], in traced: TracedGoals) {
    weights = Matrix(rows: neurons.count, columns: neurons.count)
    for layer in Set(neurons.map(\.layer)).sorted() {
      let positions = neurons.indices.filter { neurons[$0].layer == layer }
      let activations = traced.activations(
        of: positions.map { (layer: layer, index: neurons[$0].index) }, goals: traced.neighbours)
      let share = 1 / Float(max(1, activations.count))
      let squares = activations.reduce(0.0) { $0 + $1.reduce(0.0) { $0 + Double($1 * $1 * share) } }
      // Without neighbours, or where none excites the layer, every slot moves by itself.
      let scale = squares > 0 ? squares / Double(positions.count) : 1
      let covariance = SymmetricMatrix(
        momentsOf: activations, shares: activations.map { _ in share }, width: positions.count,
        ridge: squares > 0 ? Self.whiteningRidge * scale : 1)
      let factor = covariance.choleskyFactor
      for (place, column) in positions.enumerated() {
        let unit = positions.indices.map { $0 == place ? scale.squareRoot() : 0 }
        for (value, row) in zip(factor.solveLower(unit), positions) { weights[row, column] = Float(value) }
      }
    }
  }

  /// One direction for each question and layer: its key, the combination of the layer's neurons that is 1 where the
  /// question is asked and nearest to 0 elsewhere.
  ///
  /// Questions are known by what neurons do at `[MASK]`. In the subjects' layers it is subjects that have keys, by what
  /// neurons do at their last word piece; they shall be silent on the neighbours' subjects and other words.
  ///
  /// With x the activations of the layer's neurons there and x̄ their mean where the question is asked, the key is
  /// w = C⁻¹ x̄ / (x̄ᵀ C⁻¹ x̄), where C is the mean of x xᵀ over the neighbours, plus its mean over all questions, plus ridge · I.
  /// This is the closed form of ROME and MEMIT (Meng et al. 2022, 2023) within the chosen neurons: a value v added along w
  /// adds v to the layer's output where the question is asked.
  /// - Parameters:
  ///   - questions: Per question, the positions of its goals.
  ///   - subjects: The same per subject.
  ///   - subjectLayers: The subjects' layers, known in whole.
  ///   - neurons: The neurons whose slots may move.
  init(
    keysOf questions: [[Int]], subjects: [[Int]], subjectLayers: [Int], neurons: [Neuron], in traced: TracedGoals
  ) {
    for layer in Set(neurons.map(\.layer)).sorted() {
      let place: PromptPosition = subjectLayers.contains(layer) ? .subject : .mask
      let questions = place == .subject ? subjects.map { traced.namingSubject($0) } : questions
      let positions = neurons.indices.filter { neurons[$0].layer == layer }
      let names = positions.map { (layer: layer, index: neurons[$0].index) }
      var activations = traced.activations(of: names, goals: traced.goals.indices, at: place)
      let means = questions.map { mean(of: $0.map { activations[$0] }, width: positions.count) }
      var silent = Array(place == .subject ? traced.strangers : traced.neighbours)
      if place == .subject {
        silent += activations.count..<activations.count + silent.count
        activations += traced.activations(of: names, goals: traced.strangers, at: .elsewhere)
      }
      var shares = [Float](repeating: 0, count: activations.count)
      for position in silent { shares[position] += 1 / Float(silent.count) }
      for question in questions {
        for position in question { shares[position] += 1 / Float(question.count * questions.count) }
      }
      let covariance = SymmetricMatrix(
        momentsOf: activations, shares: shares, width: positions.count, ridge: selectionRidge)
      let factor = covariance.choleskyFactor
      var own = Keys(positions: positions, place: place)
      for mean in means {
        let key = factor.solve(mean)
        let response = zip(key, mean).reduce(0) { $0 + $1.0 * $1.1 }
        // Neurons that are silent on a question cannot answer it.
        guard response > 1e-6 else { continue }
        own.rows.append(key.map { Float($0 / response) })
      }
      keys.append(own)
    }
    weights = Matrix(rows: keys.reduce(0) { $0 + $1.rows.count }, columns: neurons.count)
    var index = 0
    for own in keys {
      for key in own.rows {
        for (position, value) in zip(own.positions, key) { weights[index, position] = value }
        index += 1
      }
    }
  }

  /// The goals with so many of the neighbours about other subjects at most, and by how much each counts more: two thirds those
  /// to which a key responds most, which are the ones a change moves, and a third an even choice of the others, which stand
  /// for all of these.
  func heeded(_ count: Int, of traced: TracedGoals, neurons: [Neuron]) -> [(goal: Int, factor: Double)] {
    let neighbours = traced.strangers
    guard count < neighbours.count else { return traced.goals.indices.map { ($0, 1) } }
    var responses = [Float](repeating: 0, count: neighbours.count)
    for own in keys {
      let found = traced.responses(
        of: own.rows, neurons: own.positions.map { (layer: neurons[$0].layer, index: neurons[$0].index) },
        goals: neighbours, at: own.place)
      for (index, response) in found.enumerated() { responses[index] = max(responses[index], response) }
    }
    let order = neighbours.indices.sorted {
      let (a, b) = (responses[$0 - neighbours.lowerBound], responses[$1 - neighbours.lowerBound])
      return (-a, $0) < (-b, $1)
    }
    let first = (2 * count + 2) / 3
    let others = order[first...]
    let chosen = (0..<count - first).map { others[first + $0 * others.count / (count - first)] }
    return Array(0..<neighbours.lowerBound).map { ($0, 1) } + order[..<first].map { ($0, 1) }
      + chosen.map { ($0, Double(others.count) / Double(count - first)) }
  }

  /// Wᵀ · `values`.
  func changes(_ values: Matrix) -> Matrix {
    let result = Matrix(rows: weights.columns, columns: values.columns)
    // Neurons that are silent on every question have no direction.
    guard weights.rows > 0 else { return result }
    multiply(weights.all, transposingA: true, values.all, into: result.all)
    return result
  }

  /// W · `gradients`, the gradient of the values from that of the slots.
  func gradients(_ gradients: [[Float]], hidden: Int) -> Matrix {
    let slots = Matrix(rows: weights.columns, columns: hidden)
    for (index, row) in gradients.enumerated() { slots.all.copy(row, toRow: index) }
    let result = Matrix(rows: weights.rows, columns: hidden)
    multiply(weights.all, slots.all, into: result.all)
    return result
  }
}

/// The mean of rows.
private func mean(of rows: [[Float]], width: Int) -> [Double] {
  var result = [Double](repeating: 0, count: width)
  for row in rows { for index in 0..<width { result[index] += Double(row[index]) / Double(rows.count) } }
  return result
}

/// A positive definite matrix in double precision, of which the lower triangle is kept.
private struct SymmetricMatrix {
  private var rows: [[Double]]

  /// Σ share · x xᵀ over rows x, plus `ridge` on the diagonal.
  init(momentsOf activations: [[Float]], shares: [Float], width: Int, ridge: Double) {
    let scaled = Matrix(rows: activations.count, columns: width)
    for (index, row) in activations.enumerated() {
      let root = shares[index].squareRoot()
      scaled.all.copy(row.map { $0 * root }, toRow: index)
    }
    let sums = Matrix(rows: width, columns: width)
    multiply(scaled.all, transposingA: true, scaled.all, into: sums.all)
    rows = (0..<width).map { row in (0...row).map { Double(sums[row, $0]) + ($0 == row ? ridge : 0) } }
  }

  /// L of L · Lᵀ, the Cholesky factorisation.
  var choleskyFactor: LowerTriangle {
    var factor = rows
    for row in factor.indices {
      for column in 0...row {
        var value = factor[row][column]
        for index in 0..<column { value -= factor[row][index] * factor[column][index] }
        factor[row][column] = row == column ? value.squareRoot() : value / factor[column][column]
      }
    }
    return LowerTriangle(rows: factor)
  }
}

/// A lower triangle L.
private struct LowerTriangle {
  let rows: [[Double]]

  /// x with L · x = `right`.
  func solveLower(_ right: [Double]) -> [Double] {
    var x = right
    for row in rows.indices {
      for column in 0..<row { x[row] -= rows[row][column] * x[column] }
      x[row] /= rows[row][row]
    }
    return x
  }

  /// x with L · Lᵀ · x = `right`.
  func solve(_ right: [Double]) -> [Double] {
    var x = solveLower(right)
    for row in rows.indices.reversed() {
      x[row] /= rows[row][row]
      for column in 0..<row { x[column] -= rows[row][column] * x[row] }
    }
    return x
  }
}
