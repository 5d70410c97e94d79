import BERT
import Checkpoint
import Editing
import FixtureFiles
import Foundation
import Neurons
import Testing

@Suite("The paper's editing methods")
struct PaperMethodTests {
  let model: MaskedLanguageModel

  init() throws { model = try MaskedLanguageModel(opening: FixtureFiles.directory.appending(path: "keras")) }

  private func norm(_ x: [Float]) -> Double { x.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() }

  @Test(
    "an update takes λ₁ of the old embedding away and adds λ₂ of the new, both at the slot's norm",
    arguments: [(1.0, 8.0), (0, 0), (2.5, 0.5)])
  func update(lambda1: Double, lambda2: Double) throws {
    let (old, new) = (try model.answer("Aster"), try model.answer("Corin"))
    let weights = model.bert.weights
    let (e1, e2) = (weights.wordEmbeddings.row(old), weights.wordEmbeddings.row(new))
    let neurons = [Neuron(layer: 0, index: 3), Neuron(layer: 1, index: 31)]
    let slots = PaperUpdate(old: old, new: new, lambda1: lambda1, lambda2: lambda2)
      .valueSlots(of: neurons, in: model)
    #expect(slots.map(\.layer) == [0, 1] && slots.map(\.index) == [3, 31])
    for slot in slots {
      let before = weights.valueSlot(layer: slot.layer, index: slot.index)
      for column in before.indices {
        let wanted =
          Double(before[column]) - lambda1 * norm(before) / norm(e1) * Double(e1[column])
          + lambda2 * norm(before) / norm(e2) * Double(e2[column])
        // One rounding to float32 of numbers below 30.
        #expect(abs(Double(slot.values[column]) - wanted) < 2e-6)
      }
    }
  }

  @Test("an erasure fills slots with zeros or the embedding of [UNK]")
  func erasure() {
    let neurons = [Neuron(layer: 1, index: 7)]
    let zero = PaperErasure(fill: .zero).valueSlots(of: neurons, in: model)
    #expect(zero == [ValueSlot(layer: 1, index: 7, values: Array(repeating: 0, count: 16))])
    let unknown = PaperErasure(fill: .unk).valueSlots(of: neurons, in: model)
    #expect(unknown == [ValueSlot(layer: 1, index: 7, values: model.bert.weights.wordEmbeddings.row(1))])
  }

  @Test("a replaced slot changes what the model says, and the model it came from stays as it was")
  func replacing() throws {
    let prompt = try model.encode("the capital of orvia is [MASK] .")
    let before = model.bert.predict([prompt]) { $1.logProbabilities }
    let neurons = (0..<32).map { Neuron(layer: 1, index: $0) }
    let edited = model.replacing(PaperErasure().valueSlots(of: neurons, in: model))
    #expect(edited.bert.predict([prompt]) { $1.logProbabilities } != before)
    #expect(model.bert.predict([prompt]) { $1.logProbabilities } == before)
    #expect(edited.bert.weights.valueSlot(layer: 1, index: 4).allSatisfy { $0 == 0 })
    #expect(edited.bert.weights.valueSlot(layer: 0, index: 4) == model.bert.weights.valueSlot(layer: 0, index: 4))
  }

  @Test(
    "layouts that store W2 the other way round give the same slots",
    arguments: ["flat-torch", "flat-transposed", "safetensors"])
  func orientations(name: String) throws {
    let other = try MaskedLanguageModel(opening: FixtureFiles.directory.appending(path: name))
    let neurons = [Neuron(layer: 0, index: 11)]
    let method = PaperUpdate(old: 60, new: 61)
    #expect(method.valueSlots(of: neurons, in: other) == method.valueSlots(of: neurons, in: model))
  }
}
