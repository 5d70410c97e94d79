import Foundation

/// Bytes of matrices that are gone and may still be held, beside those that are in use.
public let mostKeptBytes = MatrixMemory.limit

/// Memory of matrices that are gone, kept for the next ones.
///
/// A pass makes hundreds of matrices of the same few sizes; asking the system for fresh pages each time would cost some
/// ten per cent of it. Kept memory is bounded by ``limit``.
final class MatrixMemory: @unchecked Sendable {
  static let shared = MatrixMemory()

  /// 64-byte aligned bytes; only the owner of a block touches them.
  struct Block {
    let start: UnsafeMutableRawPointer
    let byteCount: Int
  }

  /// Bytes kept at most.
  static let limit = 96 << 20

  private let lock = NSLock()
  private var kept: [Int: [Block]] = [:]
  private var keptBytes = 0

  /// At least `byteCount` bytes, of any content.
  func take(byteCount: Int) -> Block {
    let size = Self.roundedUp(byteCount)
    let found: Block? = lock.withLock {
      guard let block = kept[size]?.popLast() else { return nil }
      keptBytes -= size
      return block
    }
    return found ?? Block(start: .allocate(byteCount: size, alignment: 64), byteCount: size)
  }

  func give(_ block: Block) {
    let isKept = lock.withLock {
      guard keptBytes + block.byteCount <= Self.limit else { return false }
      keptBytes += block.byteCount
      kept[block.byteCount, default: []].append(block)
      return true
    }
    if !isKept { block.start.deallocate() }
  }

  /// The next eighth of a power of two, so that nearly equal sizes share blocks.
  private static func roundedUp(_ byteCount: Int) -> Int {
    let least = max(byteCount, 64)
    let step = max(64, (1 << (Int.bitWidth - 1 - (least - 1).leadingZeroBitCount)) >> 3)
    return (least + step - 1) / step * step
  }
}
