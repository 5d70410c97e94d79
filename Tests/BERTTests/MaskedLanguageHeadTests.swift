import Kernels
import Testing

@testable import BERT

@Suite("The masked-language-model head")
struct MaskedLanguageHeadTests {
  @Test(
    "P(answer) and its gradient do not depend on how many word pieces are decoded at a time, the answer alone included",
    arguments: [1, 7, 20])
  func parts(pieces: Int) throws {
    let model = try Fixture.open().bert
    let states = Matrix(rows: 3, columns: model.hidden)
    for index in 0..<states.rows * states.columns {
      states[index / states.columns, index % states.columns] = Float((index * 37) % 23) / 11 - 1
    }
    let answers = [0, 13, model.configuration.vocabularySize - 1]
    let whole = model.head.probabilityGradient(states, answers, decoding: model.configuration.vocabularySize)
    let found = model.head.probabilityGradient(states, answers, decoding: pieces)
    for row in answers.indices {
      // Two orders of the same float32 sums.
      #expect(abs(found.probabilities[row] - whole.probabilities[row]) < 1e-5 * whole.probabilities[row])
      let (a, b) = (whole.gradient.rows(row, count: 1).values, found.gradient.rows(row, count: 1).values)
      let largest = a.map(abs).max() ?? 0
      #expect(largest > 0)
      for (a, b) in zip(a, b) { #expect(abs(a - b) < 1e-5 * largest) }
    }
  }
}
