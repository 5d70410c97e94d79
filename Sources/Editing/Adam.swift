import Foundation
import Kernels

/// Adam (Kingma & Ba 2015): steps along a running mean of gradients, as long as these agree from step to step.
struct Adam {
  // How much of the running mean stays from step to step, and how much of the new one is added.
  private static let ofMeans: (stays: Float, added: Float) = (0.9, 0.1)
  private static let ofSquares: (stays: Float, added: Float) = (0.999, 0.001)

  private var means, squares: [Float]
  private var steps = 0

  /// For so many values, of which none has moved.
  init(count: Int) {
    means = [Float](repeating: 0, count: count)
    squares = means
  }

  /// Moves `values` against their gradients, `[rows, columns]` both, by about `size` each.
  ///
  /// - Parameter shrinkage: Times `size`, the share of every value that is taken back first, apart from the running means
  ///   (Loshchilov & Hutter 2019): what gains nothing fades.
  mutating func step(_ values: Matrix, against gradients: Matrix, size: Float, shrinkage: Float = 0) {
    steps += 1
    let (first, second) = (Self.ofMeans, Self.ofSquares)
    let (bias1, bias2) = (1 - pow(first.stays, Float(steps)), 1 - pow(second.stays, Float(steps)))
    if shrinkage != 0 { scale(values.all, by: 1 - size * shrinkage) }
    for row in 0..<values.rows {
      for column in 0..<values.columns {
        let (gradient, position) = (gradients[row, column], row * values.columns + column)
        means[position] = first.stays * means[position] + first.added * gradient
        squares[position] = second.stays * squares[position] + second.added * gradient * gradient
        values[row, column] -= size * (means[position] / bias1) / ((squares[position] / bias2).squareRoot() + 1e-8)
      }
    }
  }
}
