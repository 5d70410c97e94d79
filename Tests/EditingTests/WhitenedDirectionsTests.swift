import BERT
import FixtureFiles
import Kernels
import Neurons
import Testing

@testable import Editing

@Suite("Directions that neighbours excite alike")
struct WhitenedDirectionsTests {
  private let model: MaskedLanguageModel
  private let prompts: [EncodedPrompt]
  private let neurons = [(0, 2), (0, 7), (0, 30), (1, 1), (1, 5), (1, 9), (1, 12)].map {
    Neuron(layer: $0.0, index: $0.1)
  }

  init() throws {
    let model = try MaskedLanguageModel(opening: FixtureFiles.demo)
    prompts = try ["Ireland", "Norway", "France", "Italy", "Spain", "Japan", "Kenya", "Chile", "Peru", "Cuba"].flatMap {
      [try model.encode("The capital of \($0) is [MASK]."), try model.encode("\($0) shares a border with [MASK].")]
    }
    self.model = model
  }

  private func traced(neighbours: Int) -> TracedGoals {
    TracedGoals(
      model.bert,
      [OutputGoal(prompt: prompts[0], wanted: .level(3, at: 0.1), weight: 1)]
        + prompts.prefix(neighbours).map { OutputGoal(prompt: $0, wanted: .unchanged, weight: 1) }, from: 0)
  }

  @Test(
    "each is excited as much as a neuron is on the mean, and independently of the others of its layer, but for the ridge"
  )
  func independent() {
    let traced = traced(neighbours: prompts.count)
    let weights = SlotDirections(whitening: neurons, in: traced).weights
    for own in [0..<3, 3..<7] {
      let x = traced.activations(
        of: own.map { (layer: neurons[$0].layer, index: neurons[$0].index) }, goals: traced.neighbours)
      let scale = x.flatMap { $0 }.reduce(0) { $0 + Double($1 * $1) } / Double(x.count * own.count)
      func excitation(_ row: Int) -> [Double] {
        x.map { prompt in zip(own, prompt).reduce(0) { $0 + Double(weights[row, $1.0] * $1.1) } }
      }
      for (a, b) in own.flatMap({ a in own.map { (a, $0) } }) {
        let moment = zip(excitation(a), excitation(b)).reduce(0) { $0 + $1.0 * $1.1 } / Double(x.count)
        // The ridge is what is missing of both: W · (C + ridge · I) · Wᵀ = scale · I.
        let ridge =
          neurons.indices.reduce(0.0) { $0 + Double(weights[a, $1] * weights[b, $1]) } * SlotDirections.whiteningRidge
          * scale
        #expect(abs(moment + ridge - (a == b ? scale : 0)) < 1e-4 * scale, "float32 moments of a few units")
      }
      // Neurons of other layers take no part.
      #expect(own.allSatisfy { row in neurons.indices.allSatisfy { own.contains($0) || weights[row, $0] == 0 } })
    }
  }

  @Test("without neighbours every slot moves by itself")
  func alone() {
    let weights = SlotDirections(whitening: neurons, in: traced(neighbours: 0)).weights
    for row in neurons.indices {
      #expect(neurons.indices.allSatisfy { weights[row, $0] == (row == $0 ? 1 : 0) })
    }
  }
}
