import BERT
import Checkpoint
import Foundation
import Kernels
import Testing

@Suite("Gradients of value slots")
struct SlotGradientTests {
  @Test("are those of finite differences of the loss, for answers and for distributions")
  func finiteDifferences() throws {
    let model = try Fixture.open()
    let goldens = try Golden.all()
    let wanted = [Float](repeating: 1 / 89, count: 89)
    let goals = try goldens.enumerated().map { index, golden in
      OutputGoal(
        prompt: try model.encode(golden.text),
        wanted: index % 2 == 0 ? .answer(golden.answerId) : .distribution(wanted), weight: Double(index + 1))
    }
    let places = [(layer: 0, index: 3), (layer: 1, index: 30)]
    let result = model.bert.slotGradients(goals, slots: places)
    for (place, gradient) in zip(places, result.gradients) {
      let before = model.bert.weights.valueSlot(layer: place.layer, index: place.index)
      for column in [0, 7, 15] {
        func loss(_ by: Float) -> Double {
          var values = before
          values[column] += by
          let slot = ValueSlot(layer: place.layer, index: place.index, values: values)
          return model.bert.replacing([slot]).slotGradients(goals, slots: []).loss
        }
        // A step of 1e-2 keeps float32 noise (1e-6 of a loss of 100) and curvature both below the tolerance.
        let slope = (loss(1e-2) - loss(-1e-2)) / 2e-2
        #expect(abs(slope - gradient[column]) < 0.02 * max(1, abs(slope)))
      }
    }
  }

  @Test("loss and probabilities are those of the predictions")
  func loss() throws {
    let model = try Fixture.open()
    let golden = try #require(try Golden.all().first)
    let prompt = try model.encode(golden.text)
    let goal = OutputGoal(prompt: prompt, wanted: .answer(golden.answerId), weight: 2)
    let logs = golden.logProbabilities
    let same = OutputGoal(prompt: prompt, wanted: .distribution(logs.map { Float(exponential($0)) }), weight: 3)
    let result = model.bert.slotGradients([goal, same], slots: [(layer: 0, index: 0)])
    // Float32 logarithms; the divergence from its own distribution is zero.
    #expect(abs(result.loss + 2 * logs[golden.answerId]) < 1e-4)
    #expect(abs((result.probabilities[0] ?? 0) - exponential(logs[golden.answerId])) < 1e-5)
    #expect(result.probabilities[1] == nil)
  }
}
