import BERT
import FixtureFiles
import Foundation
import Testing

@Suite("Predictions of kn-mini", .enabled(if: SharedReference.isEnabled))
struct PredictionReferenceTests {
  struct Row: Decodable {
    let text: String
    let ids: [Int]
    let answer: String
    let answerLogprob: Double
    let topIds: [Int]
    let topLogprobs: [Double]
  }

  /// 1e-4 is what the protocol allows; float32 reaches about 1e-5.
  static let tolerance = 1e-4

  @Test(
    "log-probabilities at [MASK] are those of the reference, from both files",
    arguments: ["tf_model.h5", "model.safetensors"])
  func logProbabilities(file: String) throws {
    let model = try MaskedLanguageModel(opening: SharedReference.model.appending(path: file))
    let rows = try SharedReference.golden([Row].self, "logits.json")
    #expect(rows.count == 204)
    let prompts = try rows.map { try model.encode($0.text) }
    for (prompt, row) in zip(prompts, rows) { #expect(prompt.ids == row.ids) }
    let answers = try rows.map { try model.answer($0.answer) }
    let worst = model.bert.predict(prompts) { index, prediction in
      let row = rows[index]
      let answer = abs(Double(prediction.logProbabilities[answers[index]]) - row.answerLogprob)
      let top = zip(row.topIds, row.topLogprobs).map { abs(Double(prediction.logProbabilities[$0]) - $1) }
      return ([answer] + top).max() ?? .infinity
    }
    print("largest difference of log-probabilities", worst.max() ?? 0)
    #expect(worst.allSatisfy { $0 < Self.tolerance })
  }
}
