import Foundation
import Kernels
import Tensors
import Testing

/// Plain loops in double precision are what the vectorised kernels are compared with.
@Suite("Elementwise kernels")
struct ElementwiseTests {
  /// Float32 results of a few dozen operations: some units in the last place.
  static let tolerance = 2e-6

  /// A matrix whose width is no multiple of the lanes, so that the last, partial lanes are met too.
  static func matrix(_ rows: Int, _ columns: Int, _ value: (Int, Int) -> Double) -> Matrix {
    let matrix = Matrix(rows: rows, columns: columns)
    for row in 0..<rows { for column in 0..<columns { matrix[row, column] = Float(value(row, column)) } }
    return matrix
  }

  static func wave(_ row: Int, _ column: Int) -> Double { 3 * sin(Double(row * 37 + column) * 1.3) }

  static func tensor(_ count: Int, _ value: (Int) -> Double) -> Tensor {
    Tensor(shape: [count], values: (0..<count).map { Float(value($0)) })
  }

  @Test("GELU and its derivative are the exact ones from −12 to 12, in long runs and in short", arguments: [1, 40])
  func exactGELU(rows: Int) {
    // 40 rows are more than one block of the library's and leave a rest.
    let count = 2403
    let x = Self.matrix(rows, count) { Double($1 - 1201) / 100 }
    let inputs = Matrix(rows: rows, columns: count)
    let slope = Self.matrix(rows, count) { _, _ in 1 }
    gelu(x.all, bias: Self.tensor(count) { _ in 0 }, inputs: inputs.all)
    geluBackward(slope.all, at: inputs.all)
    for row in [0, rows / 2, rows - 1] {
      for column in 0..<count {
        let input = Double(inputs[row, column])
        let phi = 0.5 * erfc(-input / 2.squareRoot())
        let density = exp(-input * input / 2) / (2 * Double.pi).squareRoot()
        #expect(abs(Double(x[row, column]) - input * phi) <= Self.tolerance * max(1, abs(input)))
        #expect(abs(Double(slope[row, column]) - (phi + input * density)) <= Self.tolerance)
      }
    }
  }

  @Test("GELU adds the bias first, and parts of rows are left alone beside")
  func biasedGELU() {
    let plain = Self.matrix(2, 21) { Self.wave($0, $1) + Double($1) / 8 }
    let biased = Self.matrix(2, 30) { Self.wave($0, $1) }
    gelu(plain.all, bias: Self.tensor(21) { _ in 0 })
    gelu(biased.all.columns(0, count: 21), bias: Self.tensor(21) { Double($0) / 8 })
    for row in 0..<2 {
      for column in 0..<21 { #expect(abs(plain[row, column] - biased[row, column]) < 2e-6) }
      for column in 21..<30 { #expect(biased[row, column] == Float(Self.wave(row, column))) }
    }
  }

  // From 512 columns on, oneDNN does it.
  @Test("softmax sums to one and keeps ratios, also for large logits", arguments: [1, 7, 16, 50, 512, 1023])
  func softmaxOfRows(columns: Int) {
    let x = Self.matrix(3, columns) { 500 + Self.wave($0, $1) }
    let inputs = x.all.values.map(Double.init)
    softmax(x.all)
    for row in 0..<3 {
      let logits = inputs[row * columns..<(row + 1) * columns]
      let largest = logits.max() ?? 0
      let total = logits.reduce(0) { $0 + exp($1 - largest) }
      for column in 0..<columns {
        let wanted = exp(logits[row * columns + column] - largest) / total
        #expect(abs(Double(x[row, column]) - wanted) < Self.tolerance)
      }
    }
  }

  @Test("log-softmax is the logarithm of softmax, also where that is tiny", arguments: [1, 7, 16, 50, 512, 1023])
  func logSoftmaxOfRows(columns: Int) {
    let x = Self.matrix(3, columns) { 500 + 20 * Self.wave($0, $1) }
    let inputs = x.all.values.map(Double.init)
    logSoftmax(x.all)
    for row in 0..<3 {
      let logits = inputs[row * columns..<(row + 1) * columns]
      let largest = logits.max() ?? 0
      let shift = largest + log(logits.reduce(0) { $0 + exp($1 - largest) })
      for column in 0..<columns {
        // Differences of numbers around 560, whose spacing in float32 is 6e-5.
        #expect(abs(Double(x[row, column]) - (logits[row * columns + column] - shift)) < 2e-4)
      }
    }
  }

  @Test("softmax's way back is p ∘ (g − Σ g ∘ p), scaled")
  func softmaxGradient() {
    let p = Self.matrix(2, 19, Self.wave)
    softmax(p.all)
    let g = Self.matrix(2, 19) { cos(Double($0 + $1)) }
    let (probabilities, gradient) = (p.all.values.map(Double.init), g.all.values.map(Double.init))
    softmaxBackward(g.all, probabilities: p.all, scale: 0.25)
    for row in 0..<2 {
      let range = row * 19..<(row + 1) * 19
      let dot = zip(probabilities[range], gradient[range]).reduce(0) { $0 + $1.0 * $1.1 }
      for place in range {
        let wanted = 0.25 * probabilities[place] * (gradient[place] - dot)
        #expect(abs(Double(g.all.values[place]) - wanted) < Self.tolerance)
      }
    }
  }

  /// Layer normalisation in double precision.
  private func normalized(_ x: [Double], _ gamma: [Double], _ beta: [Double], _ epsilon: Double) -> [Double] {
    let mean = x.reduce(0, +) / Double(x.count)
    let variance = x.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(x.count)
    return x.indices.map { (x[$0] - mean) / (variance + epsilon).squareRoot() * gamma[$0] + beta[$0] }
  }

  @Test("layer normalisation and its way back are those of plain loops and of finite differences")
  func layerNormalization() {
    let columns = 35
    let gamma = (0..<columns).map { 1 + Double($0) / 50 }
    let beta = (0..<columns).map { Double($0 % 5) - 2 }
    let scale = Self.tensor(columns) { gamma[$0] }
    let shift = Self.tensor(columns) { beta[$0] }
    let x = Self.matrix(2, columns) { 4 + Self.wave($0, $1) }
    let inputs = x.all.values.map(Double.init)
    let unit = Matrix(rows: 2, columns: columns)
    let deviation = Matrix(rows: 2, columns: 1)
    layerNormalize(x.all, scale: scale, shift: shift, epsilon: 1e-5, normalized: unit.all, deviation: deviation.all)
    let upstream = Self.matrix(2, columns) { cos(Double($0 * 3 + $1)) }
    let weights = upstream.all.values.map(Double.init)
    layerNormalizeBackward(upstream.all, scale: scale, normalized: unit.all, deviation: deviation.all)
    for row in 0..<2 {
      let range = row * columns..<(row + 1) * columns
      let own = Array(inputs[range])
      for (place, wanted) in zip(range, normalized(own, gamma, beta, 1e-5)) {
        #expect(abs(Double(x.all.values[place]) - wanted) < 5 * Self.tolerance)
      }
      for column in 0..<columns {
        func loss(_ nudge: Double) -> Double {
          var moved = own
          moved[column] += nudge
          return zip(normalized(moved, gamma, beta, 1e-5), weights[range]).reduce(0) { $0 + $1.0 * $1.1 }
        }
        let slope = (loss(1e-5) - loss(-1e-5)) / 2e-5
        #expect(abs(Double(upstream[row, column]) - slope) < 1e-5)
      }
    }
  }

  @Test("columns are copied in the order asked for, and what is added to them goes back to their places")
  func columns() {
    let whole = Matrix(rows: 3, columns: 7)
    for row in 0..<3 { for column in 0..<7 { whole[row, column] = Float(10 * row + column) } }
    // Of a slice whose rows do not lie one after the other.
    let slice = whole.rows(1, count: 2).columns(1, count: 5)
    let found = gatherColumns(slice, [4, 0])
    #expect(found.rows(0, count: 1).values == [15, 11] && found.rows(1, count: 1).values == [25, 21])
    add(found.all, toColumns: [4, 0], of: slice)
    #expect(whole.rows(0, count: 1).values == [0, 1, 2, 3, 4, 5, 6])
    #expect(whole.rows(1, count: 1).values == [10, 22, 12, 13, 14, 30, 16])
    #expect(whole.rows(2, count: 1).values == [20, 42, 22, 23, 24, 50, 26])
  }
}
