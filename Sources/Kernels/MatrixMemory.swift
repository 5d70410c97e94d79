import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// Runs `body`, whose matrices and the memory kept for the next ones take no more than `bytes` together unless those in use do;
/// then lets go of what is kept, unless it runs within another such body, which may want it.
public func withMatrixMemory<Result>(of bytes: Int, _ body: () throws -> Result) rethrows -> Result {
  MatrixMemory.shared.begin(within: bytes)
  defer { MatrixMemory.shared.end(within: bytes) }
  return try body()
}

/// Memory of matrices that are gone, kept for the next ones.
///
/// A pass makes hundreds of matrices of the same few sizes; asking the system for fresh pages each time would cost ten to
/// twenty per cent of it. Other prompts' passes make matrices of other sizes, so that a block may be up to a half larger than
/// what is asked for, without which locating took a twentieth longer.
///
/// With what is in use, what is kept takes up to twice what was in use at once, within ``usualBound`` or what
/// ``withMatrixMemory(of:_:)`` allows, and ``leastBound`` in any case. All but small blocks are mapped one by one: the
/// allocator's heap, once it holds blocks of many sizes, has gaps between them that took a fifth more than what was asked for.
final class MatrixMemory: @unchecked Sendable {
  static let shared = MatrixMemory()

  /// 64-byte aligned bytes; only the owner of a block touches them.
  struct Block {
    let start: UnsafeMutableRawPointer
    let byteCount: Int

    fileprivate init(byteCount: Int) {
      self.byteCount = byteCount
      guard byteCount >= MatrixMemory.leastMapped else {
        start = .allocate(byteCount: byteCount, alignment: 64)
        return
      }
      let mapped = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
      guard let mapped, mapped != MAP_FAILED else { fatalError("There are no \(byteCount) bytes of memory left.") }
      start = mapped
    }

    fileprivate func deallocate() {
      if byteCount >= MatrixMemory.leastMapped { munmap(start, byteCount) } else { start.deallocate() }
    }
  }

  /// Bytes, in use and kept, that are never too much.
  private static let leastBound = 96 << 20

  /// Bytes, in use and kept, beyond which none are kept unless they were in use at once.
  private static let usualBound = 1 << 30

  /// Blocks of so many bytes are mapped.
  private static let leastMapped = 1 << 17

  private let lock = NSLock()
  private typealias Kept = (block: Block, since: Int)

  /// By size, the longest kept first; no size without any.
  private var kept: [Int: [Kept]] = [:]
  private var clock = 0
  private var keptBytes = 0
  private var usedBytes = 0
  /// The most that were in use at once since the first of those at work began.
  private var mostUsedBytes = 0
  /// What those who are at work allow.
  private var bounds: [Int] = []

  /// What may be in use and kept together.
  private var bound: Int {
    max(Self.leastBound, mostUsedBytes, min(2 * mostUsedBytes, bounds.max() ?? Self.usualBound))
  }

  /// Bytes in use and kept.
  var heldBytes: Int { lock.withLock { usedBytes + keptBytes } }

  /// At least `byteCount` bytes, of any content: the smallest kept block that fits and is not much larger, or a new one.
  func take(byteCount: Int) -> Block {
    let size = Self.roundedUp(byteCount)
    var found: Block?
    releasing {
      let fitting = size...size + size / 2
      if let nearest = kept.keys.lazy.filter({ fitting.contains($0) }).min() {
        found = removeKept(of: nearest) { $0.popLast() }
      }
      usedBytes += found?.byteCount ?? size
      mostUsedBytes = max(mostUsedBytes, usedBytes)
    }
    return found ?? Block(byteCount: size)
  }

  func give(_ block: Block) {
    releasing {
      usedBytes -= block.byteCount
      keptBytes += block.byteCount
      kept[block.byteCount, default: []].append((block, clock))
      clock += 1
    }
  }

  func begin(within bytes: Int) {
    releasing {
      if bounds.isEmpty { mostUsedBytes = usedBytes }
      bounds.append(bytes)
    }
  }

  func end(within bytes: Int) {
    releasing {
      if let index = bounds.firstIndex(of: bytes) { bounds.remove(at: index) }
      if bounds.isEmpty { mostUsedBytes = usedBytes }
    }
  }

  /// Makes a change with the lock held, and gives back what is kept beyond the bound then, the longest kept first.
  private func releasing(_ change: () -> Void) {
    var superfluous: [Block] = []
    lock.withLock {
      change()
      while usedBytes + keptBytes > bound {
        let oldest = kept.min { ($0.value.first?.since ?? .max) < ($1.value.first?.since ?? .max) }
        guard let size = oldest?.key, let block = removeKept(of: size, { $0.removeFirst() }) else { break }
        superfluous.append(block)
      }
    }
    for block in superfluous { block.deallocate() }
  }

  /// With the lock held, takes one of the blocks kept of a size.
  private func removeKept(of size: Int, _ choose: (inout [Kept]) -> Kept?) -> Block? {
    guard let chosen = choose(&kept[size, default: []]) else { return nil }
    if kept[size]?.isEmpty == true { kept[size] = nil }
    keptBytes -= size
    return chosen.block
  }

  /// The next eighth of a power of two, so that nearly equal sizes share blocks.
  private static func roundedUp(_ byteCount: Int) -> Int {
    let least = max(byteCount, 64)
    let step = max(64, (1 << (Int.bitWidth - 1 - (least - 1).leadingZeroBitCount)) >> 3)
    return (least + step - 1) / step * step
  }
}
