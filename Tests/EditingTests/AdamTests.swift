import Kernels
import Testing

@testable import Editing

@Suite("Adam")
struct AdamTests {
  private func matrix(_ values: [Float]) -> Matrix {
    let result = Matrix(rows: 1, columns: values.count)
    result.all.copy(values, toRow: 0)
    return result
  }

  @Test(
    "takes a first step of the size asked for against each gradient, however large that is, and none where there is none"
  )
  func firstStep() {
    let values = matrix([1, 1, 1])
    var adam = Adam(count: 3)
    adam.step(values, against: matrix([1000, -0.01, 0]), size: 0.25)
    // The gradient's size cancels but for the 1e-8 that keeps the quotient finite.
    #expect(zip(values.all.values, [0.75, 1.25, 1] as [Float]).allSatisfy { abs($0 - $1) < 1e-5 })
  }

  @Test("takes back a share of what there is, where nothing pulls as well")
  func shrinkage() {
    let values = matrix([4, -8])
    var adam = Adam(count: 2)
    for _ in 0..<3 { adam.step(values, against: matrix([0, 0]), size: 0.5, shrinkage: 1) }
    #expect(values.all.values == [0.5, -1], "a half each time, exactly")
  }
}
