import Kernels
import Synchronization
import Tensors
import Testing

@Suite("Division among product threads")
struct DivisionTests {
  @Test("every index is met once, by as many parts as there are threads", arguments: [1, 2, 5], [0, 1, 3, 100])
  func parts(threads: Int, count: Int) {
    let met = Mutex<[Range<Int>]>([])
    withProductThreads(ThreadCount(threads)) {
      divided(count) { part in met.withLock { $0.append(part) } }
    }
    let parts = met.withLock { $0.sorted { $0.lowerBound < $1.lowerBound } }
    #expect(parts.count == min(threads, count))
    #expect(parts.flatMap { Array($0) } == Array(0..<count))
  }

  @Test("little work stays whole")
  func littleWork() {
    let parts = Mutex(0)
    withProductThreads(ThreadCount(4)) {
      divided(1000, values: 4) { _ in parts.withLock { $0 += 1 } }
      #expect(parts.withLock { $0 } == 1)
      divided(1000, values: 400) { _ in parts.withLock { $0 += 1 } }
      #expect(parts.withLock { $0 } == 5)
    }
  }

  @Test("work within a part is not divided again, and afterwards products have their threads back")
  func nesting() {
    let parts = Mutex(0)
    withProductThreads(ThreadCount(3)) {
      divided(3) { _ in
        divided(6) { _ in parts.withLock { $0 += 1 } }
      }
      #expect(parts.withLock { $0 } == 3)
      divided(6) { _ in parts.withLock { $0 += 1 } }
      #expect(parts.withLock { $0 } == 6)
    }
  }

  @Test("kernels give the same bits with any number of threads")
  func elementwiseKernels() {
    // 100 rows of 601 are divided, and leave GELU a rest beside whole blocks.
    let columns = 601
    func everything(_ threads: Int) -> [[Float]] {
      withProductThreads(ThreadCount(threads)) {
        let (x, y) = (
          ElementwiseTests.matrix(100, columns, ElementwiseTests.wave),
          ElementwiseTests.matrix(100, columns) { ElementwiseTests.wave($1, $0) }
        )
        let (unit, deviation) = (Matrix(rows: 100, columns: columns), Matrix(rows: 100, columns: 1))
        let ones = ElementwiseTests.tensor(columns) { _ in 1 }
        add(ones, y.all, to: x.all)
        layerNormalize(
          x.all, scale: ones, shift: ones, epsilon: 1e-12, normalized: unit.all, deviation: deviation.all)
        var result = [x.all.values, unit.all.values, deviation.all.values]
        gelu(x.all, bias: ones, inputs: y.all)
        result.append(x.all.values)
        geluBackward(x.all, at: y.all)
        layerNormalizeBackward(x.all, scale: ones, normalized: unit.all, deviation: deviation.all)
        result.append(x.all.values)
        logSoftmax(x.all)
        softmax(y.all)
        softmaxBackward(x.all, probabilities: y.all, scale: 0.5)
        return result + [x.all.values, y.all.values]
      }
    }
    let alone = everything(1)
    #expect(alone.joined().allSatisfy { $0.isFinite })
    for threads in [2, 3] { #expect(everything(threads) == alone) }
  }
}
