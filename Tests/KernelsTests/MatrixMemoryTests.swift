import Testing

@testable import Kernels

@Suite("Memory of matrices")
struct MatrixMemoryTests {
  private static let megabyte = 1 << 20

  /// Takes blocks of so many megabytes and gives all of them back.
  private func use(_ memory: MatrixMemory, megabytes: [Int]) {
    for block in megabytes.map({ memory.take(byteCount: $0 * Self.megabyte) }) { memory.give(block) }
  }

  @Test("a block that was given back is taken again")
  func reuse() {
    let memory = MatrixMemory()
    let first = memory.take(byteCount: 3 * Self.megabyte)
    memory.give(first)
    let second = memory.take(byteCount: 3 * Self.megabyte - 1)
    #expect(second.start == first.start && memory.heldBytes == first.byteCount)
    memory.give(second)
  }

  @Test("of the kept blocks that fit, the smallest is taken, and none that is much larger")
  func nearestFit() {
    let memory = MatrixMemory()
    let kept = [8, 6, 5, 4].map { memory.take(byteCount: $0 * Self.megabyte) }
    for block in kept { memory.give(block) }
    let held = memory.heldBytes
    let (fitting, larger) = (memory.take(byteCount: 17 * Self.megabyte / 4), memory.take(byteCount: 5 * Self.megabyte))
    #expect(fitting.start == kept[2].start && larger.start == kept[1].start && memory.heldBytes == held)
    // 8 MB are left, more than half as much again.
    let new = memory.take(byteCount: 5 * Self.megabyte)
    #expect(new.byteCount == 5 * Self.megabyte && memory.heldBytes == held + new.byteCount)
    for block in [fitting, larger, new] { memory.give(block) }
  }

  @Test("no more is kept than allowed, and little when the work is done")
  func bound() {
    let memory = MatrixMemory()
    let allowed = 200 * Self.megabyte
    memory.begin(within: allowed)
    // Sizes that do not fit each other's blocks, 150 MB at once at most.
    for size in [1, 2, 3, 5, 7, 10, 14, 20, 28] { use(memory, megabytes: Array(repeating: size, count: 150 / size)) }
    #expect(memory.heldBytes > 150 * Self.megabyte && memory.heldBytes <= allowed)
    memory.end(within: allowed)
    #expect(memory.heldBytes <= 96 * Self.megabyte)
  }

  @Test("what is in use at once may exceed what is allowed, and nothing is kept beside it")
  func excess() {
    let memory = MatrixMemory()
    memory.begin(within: 100 * Self.megabyte)
    use(memory, megabytes: [40, 40])
    let blocks = [60, 60, 60].map { memory.take(byteCount: $0 * Self.megabyte) }
    #expect(memory.heldBytes == blocks.reduce(0) { $0 + $1.byteCount })
    for block in blocks { memory.give(block) }
    memory.end(within: 100 * Self.megabyte)
  }

  @Test("what one task has left is there for the next, within a longer one, and little when that is done")
  func nesting() {
    let memory = MatrixMemory()
    let allowed = 200 * Self.megabyte
    memory.begin(within: allowed)
    memory.begin(within: allowed)
    use(memory, megabytes: [60, 60, 60])
    memory.end(within: allowed)
    #expect(memory.heldBytes > 150 * Self.megabyte)
    memory.end(within: allowed)
    #expect(memory.heldBytes <= 96 * Self.megabyte)
  }
}
