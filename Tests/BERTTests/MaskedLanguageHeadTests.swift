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

  @Test(
    "a rounded decoder takes likely pieces exactly, in as many rows as there are",
    .enabled(if: RoundedMatrix.isSupported))
  func rounded() throws {
    let model = try Fixture.open().bert
    let states = Matrix(rows: RoundedDecoder.mostRows + 3, columns: model.hidden)
    for index in 0..<states.rows * states.columns {
      states[index / states.columns, index % states.columns] = Float((index * 37) % 23) / 11 - 1
    }
    let answers = (0..<states.rows).map { $0 % model.configuration.vocabularySize }
    let exact = model.head.probabilityGradient(states, answers)
    let weights = try #require(model.roundedWeights(threads: .allCores))
    let found = model.head.probabilityGradient(
      states, answers,
      rounded: RoundedDecoder(
        head: model.head, parts: weights.decoder, traced: model.head.decode(states.rows(0, count: 2)),
        prompts: answers.indices.map { $0 % 2 }))
    // Pieces that are left rounded have less than 89/4096 of the rest together, each of them to eight bits: 1e-5 off is usual.
    for row in answers.indices {
      let p = exact.probabilities[row]
      #expect(abs(found.probabilities[row] - p) < 1e-5 * p)
      let (a, b) = (exact.gradient.rows(row, count: 1).values, found.gradient.rows(row, count: 1).values)
      let largest = a.map(abs).max() ?? 0
      #expect(zip(a, b).allSatisfy { abs($0 - $1) < 5e-5 * largest })
    }
  }
}
