import Tensors

/// Adds `bias`, where given, to every row and replaces x by GELU(x) = x·Φ(x), the exact one.
///
/// With `inputs`, of the same shape, also stores x with its bias, for ``geluBackward(_:at:)``.
public func gelu(_ rows: Slice, bias: Tensor? = nil, inputs: Slice? = nil) {
  if let bias { add(bias, to: rows) }
  WorkMeter.measure(.gelu) {
    inputs?.copy(from: rows)
    forEachRun(of: rows, nil) { x, _ in
      VectorPrimitive.gelu?.apply(x)
    } rest: { x, _, count in
      let value = load(x, count)
      store(value * normalDistribution(value).probability, x, count)
    }
  }
}

/// The way back through ``gelu(_:bias:inputs:)``: multiplies `gradient` by Φ(x) + x·φ(x) at `inputs`.
public func geluBackward(_ gradient: Slice, at inputs: Slice) {
  WorkMeter.measure(.gelu) {
    precondition(inputs.rows == gradient.rows && inputs.columns == gradient.columns)
    forEachRun(of: gradient, inputs) { gradient, x in
      if let x { VectorPrimitive.geluBackward?.applyBackward(gradient, at: x) }
    } rest: { gradient, x, count in
      guard let x else { return }
      let value = load(x, count)
      let (probability, density) = normalDistribution(value)
      store(load(gradient, count) * (probability + value * density), gradient, count)
    }
  }
}

/// Goes through values that lie without gaps: whole blocks by `block`, what is left, or lies apart, by `rest` in lanes.
///
/// Every call stays within the slices: blocks and lanes are counted off their sizes.
@inline(__always)
private func forEachRun(
  of rows: Slice, _ other: Slice?,
  block: (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>?) -> Void,
  rest: (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>?, Int) -> Void
) {
  let isWhole = rows.stride == rows.columns && (other.map { $0.stride == $0.columns } ?? true)
  let (runs, length) = isWhole ? (min(1, rows.rows), rows.rows * rows.columns) : (rows.rows, rows.columns)
  let size = VectorPrimitive.geluBlock
  let blocks = VectorPrimitive.gelu != nil && VectorPrimitive.geluBackward != nil ? length / size : 0
  let left = length - blocks * size
  for run in 0..<runs {
    let x = rows.pointer(run)
    let y = other?.pointer(run)
    divided(blocks) { part in
      for index in part { block(x + index * size, y.map { $0 + index * size }) }
    }
    divided((left + laneCount - 1) / laneCount, values: laneCount * lanesWorth) { part in
      for index in part {
        let start = blocks * size + index * laneCount
        rest(x + start, y.map { $0 + start }, min(laneCount, length - start))
      }
    }
  }
}

/// How many additions a value of GELU takes as long as.
private let lanesWorth = 8

/// Φ(x) and φ(x) of the standard normal distribution.
///
/// Φ comes from erfc(z) = e^(−z²)·t·p(t), t = 1 / (1 + 0.4·z), with p of degree 9 fitted to a relative error of 7e-9, so
/// that the exponential is shared with the density φ and negative x keep their relative precision.
@inline(__always)
private func normalDistribution(_ x: Lanes) -> (probability: Lanes, density: Lanes) {
  let one = Lanes(repeating: 1)
  let negative = x .< 0
  let magnitude = x.replacing(with: -x, where: negative)
  let e = exponential(x * x * Float(-0.5))
  let t = one / (one + magnitude * Float(0.282_842_712))
  var p = t * Float(-3.059_926_356e-2) + Float(2.034_956_131e-1)
  p = p * t + Float(-5.117_689_622e-1)
  p = p * t + Float(5.648_145_725e-1)
  p = p * t + Float(-2.989_148_922e-1)
  p = p * t + Float(2.799_325_716e-1)
  p = p * t + Float(1.269_376_252e-1)
  p = p * t + Float(2.155_121_844e-1)
  p = p * t + Float(2.248_798_948e-1)
  p = p * t + Float(2.257_106_631e-1)
  let tail = p * t * e * Float(0.5)
  return ((one - tail).replacing(with: tail, where: negative), e * Float(0.398_942_280))
}
