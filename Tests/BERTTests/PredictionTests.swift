import BERT
import Checkpoint
import Kernels
import Testing

@Suite("Predictions")
struct PredictionTests {
  /// Float32 through two layers against double precision.
  static let tolerance = 2e-5

  @Test(
    "log-probabilities at [MASK] are those of Transformers, whatever the layout",
    arguments: [
      "keras", "keras-pretraining", "keras-compressed", "flat-torch", "flat-transposed", "flat-double", "safetensors",
    ])
  func layouts(name: String) throws {
    let model = try Fixture.open(name)
    let goldens = try Golden.all()
    let prompts = try goldens.map { try model.encode($0.text) }
    #expect(prompts.map(\.ids) == goldens.map(\.ids))
    let found = model.bert.predict(prompts) { $1.logProbabilities }
    for (values, golden) in zip(found, goldens) {
      for (value, wanted) in zip(values, golden.logProbabilities) {
        #expect(abs(Double(value) - wanted) < Self.tolerance)
      }
    }
  }

  @Test(
    "sixteen-bit checkpoints predict nearly the same", arguments: ["flat-half", "safetensors-f16", "safetensors-bf16"])
  func rounded(name: String) throws {
    let model = try Fixture.open(name)
    // bfloat16 keeps 8 bits of weights whose products are of order one.
    for golden in try Golden.all() {
      let values = model.bert.predict([try model.encode(golden.text)]) { $1.logProbabilities }[0]
      for (value, wanted) in zip(values, golden.logProbabilities) { #expect(abs(Double(value) - wanted) < 0.2) }
    }
  }

  @Test("the slow oracle agrees with Transformers")
  func oracle() throws {
    let model = try Fixture.open()
    let slow = SlowBERT(weights: model.bert.weights, configuration: model.bert.configuration)
    for golden in try Golden.all() {
      let (probabilities, activations, _) = slow.run(golden.ids, mask: golden.mask)
      for (p, wanted) in zip(probabilities, golden.logProbabilities) {
        #expect(abs(p - exponential(wanted)) < 1e-6)
      }
      for (a, wanted) in zip(activations.joined(), golden.activations.joined()) { #expect(abs(a - wanted) < 1e-6) }
    }
  }

  @Test("prompts of different lengths in one pass are as good as one at a time, on any number of threads")
  func batching() throws {
    let model = try Fixture.open()
    let goldens = try Golden.all()
    let prompts = try (0..<40).flatMap { _ in try goldens.map { try model.encode($0.text) } }
    let single = prompts.prefix(goldens.count).map { model.bert.predict([$0]) { $1.logProbabilities }[0] }
    for threads in [1, 2, 3] {
      let together = model.bert.predict(prompts, threads: ThreadCount(threads)) { $1.logProbabilities }
      for (index, values) in together.enumerated() {
        // Another order of the same float32 sums.
        for (a, b) in zip(values, single[index % goldens.count]) { #expect(abs(a - b) < 1e-5) }
      }
    }
  }

  @Test("passes cover the prompts in order, none without need, whatever lengths follow each other")
  func packs() throws {
    let model = try Fixture.open()
    let short = try #require(try Golden.all().map { try model.encode($0.text) }.min { $0.ids.count < $1.ids.count })
    let long = try model.encode("[MASK]" + String(repeating: " a", count: 17))
    let limit = 2 * short.ids.count
    #expect(long.ids.count > limit)
    for prompts in [
      Array(repeating: short, count: 9), [long] + Array(repeating: short, count: 20),
      Array(repeating: long, count: 5) + Array(repeating: short, count: 7), [short, long, short, long, short], [],
    ] {
      let passes = model.bert.packs(prompts, rows: limit)
      #expect(passes.flatMap { Array($0) } == Array(prompts.indices))
      let total = prompts.reduce(0) { $0 + $1.ids.count }
      #expect(passes.count <= (total + limit - 1) / limit)
      for pass in passes where pass.count > 1 {
        #expect(prompts[pass].reduce(0) { $0 + $1.ids.count } < limit + long.ids.count)
      }
    }
  }

  @Test(
    "suppressing and amplifying a neuron is what the oracle gives for a scaled activation", arguments: [Float(0), 2])
  func interventions(factor: Float) throws {
    let model = try Fixture.open()
    let slow = SlowBERT(weights: model.bert.weights, configuration: model.bert.configuration)
    let golden = try #require(try Golden.all().first)
    for layer in 0..<2 {
      let activation = golden.activations[layer][5]
      let wanted = slow.run(
        golden.ids, mask: golden.mask,
        change: .init(layer: layer, nudge: (5, (Double(factor) - 1) * activation))
      ).probabilities
      let found = model.bert.predict(
        [try model.encode(golden.text)], interventions: [[Intervention(layer: layer, index: 5, factor: factor)]]
      ) { $1.probability(of: golden.answerId) }[0]
      #expect(abs(found - wanted[golden.answerId]) < Self.tolerance)
    }
  }

  @Test("rank, best and top agree with the probabilities")
  func order() {
    let prediction = Prediction(logProbabilities: [-3, -1, -2, -1])
    #expect(prediction.best == 1)
    #expect(prediction.top(3) == [1, 3, 2])
    #expect(prediction.rank(of: 2) == 3 && prediction.rank(of: 1) == 1 && prediction.rank(of: 3) == 1)
  }
}
