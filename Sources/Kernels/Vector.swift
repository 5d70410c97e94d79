/// Sixteen lanes: one AVX-512 register, or several narrower ones on other CPUs.
typealias Lanes = SIMD16<Float>

/// Number of lanes.
let laneCount = 16

/// Reads the lanes at `pointer`, of which `count` (at most 16) may be touched; the others read as `fill`.
@inline(__always)
func load(_ pointer: UnsafePointer<Float>, _ count: Int, fill: Float = 0) -> Lanes {
  if count >= laneCount { return UnsafeRawPointer(pointer).loadUnaligned(as: Lanes.self) }
  var lanes = Lanes(repeating: fill)
  withUnsafeMutableBytes(of: &lanes) { target in
    target.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: count * MemoryLayout<Float>.stride))
  }
  return lanes
}

/// Writes the first `count` (at most 16) lanes to `pointer`.
@inline(__always)
func store(_ lanes: Lanes, _ pointer: UnsafeMutablePointer<Float>, _ count: Int) {
  if count >= laneCount {
    UnsafeMutableRawPointer(pointer).storeBytes(of: lanes, as: Lanes.self)
  } else {
    withUnsafeBytes(of: lanes) { source in
      guard let base = source.baseAddress else { return }
      UnsafeMutableRawPointer(pointer).copyMemory(from: base, byteCount: count * MemoryLayout<Float>.stride)
    }
  }
}

/// e to the power of each lane, to about one unit in the last place; lanes below −87 give about 1e-38.
///
/// x = n·ln 2 + r with |r| ≤ ln 2 / 2; e^r by a polynomial of degree 6 fitted to it (relative error 2e-9), 2^n by
/// writing n into the exponent. n is rounded by adding 1.5 · 2^23, whose last mantissa bit is worth one.
@inline(__always)
func exponential(_ x: Lanes) -> Lanes {
  // Lanes' own clamped goes through them one by one.
  var clamped = x.replacing(with: -87, where: x .< -87)
  clamped.replace(with: 88, where: clamped .> 88)
  let magic = Lanes(repeating: 12_582_912)
  let shifted = clamped * Float(1.442_695_04) + magic
  let n = shifted - magic
  let r = clamped - n * Float(0.693_359_375) - n * Float(-2.121_944_4e-4)
  var p = r * Float(1.383_669_401e-3) + Float(8.374_898_096e-3)
  p = p * r + Float(4.166_823_266e-2)
  p = p * r + Float(1.666_641_919e-1)
  p = p * r + Float(4.999_999_203e-1)
  p = p * r + Float(1.000_000_037)
  p = p * r + Float(1.000_000_001)
  let exponent = unsafeBitCast(shifted, to: SIMD16<Int32>.self) &- unsafeBitCast(magic, to: SIMD16<Int32>.self)
  let power = (exponent &+ 127) &<< 23
  return p * unsafeBitCast(power, to: Lanes.self)
}
