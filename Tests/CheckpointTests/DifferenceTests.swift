import Checkpoint
import FixtureFiles
import Foundation
import HDF5
import Testing

@Suite("Comparing two checkpoints")
struct DifferenceTests {
  @Test("of different layouts but the same weights, finds none", arguments: Fixture.exact)
  func equal(name: String) throws {
    for other in ["keras", "flat-torch"] {
      let difference = try CheckpointDifference.between(Fixture.open(other), Fixture.open(name))
      #expect(difference.isEqual)
      #expect(difference.slots.isEmpty)
    }
  }

  @Test("names the tensors that only one holds")
  func extras() throws {
    let difference = try CheckpointDifference.between(
      Fixture.open("keras-pretraining"), Fixture.open("flat-torch"))
    #expect(difference.isEqual)
    #expect(
      difference.onlyInFirst == [
        "bert.pooler.dense.bias", "bert.pooler.dense.weight", "cls.seq_relationship.bias",
        "cls.seq_relationship.weight",
      ])
    #expect(difference.onlyInSecond.isEmpty)
  }

  @Test("finds a change in a tensor that the model does not use but both hold")
  func pooler() throws {
    try FixtureFiles.withCopy(of: "keras-pretraining") { directory in
      let file = try File.open(directory.appending(path: "tf_model.h5"), writable: true)
      let dataset = try file.dataset("bert/tf_bert_for_pre_training_2/bert/pooler/dense/kernel:0")
      var row = try dataset.row(2)
      row[0] += 0.5
      try dataset.writeRow(2, row)
      try file.close()
      let difference = try CheckpointDifference.between(
        Fixture.open("keras-pretraining"), Checkpoint.open(directory))
      #expect(!difference.isEqual)
      #expect(difference.tensors.map(\.name) == ["bert.pooler.dense.weight"])
      #expect(difference.tensors[0].count == 1)
      // The sum is rounded once to float32, of which 2⁻²³ is the spacing below 2.
      #expect(abs((difference.tensors[0].largest ?? 0) - 0.5) < 1e-6)
    }
  }

  @Test("lists and compares what a Keras file holds beside the model, by its own name")
  func beside() throws {
    try FixtureFiles.withCopy(of: "keras") { one in
      try FixtureFiles.withCopy(of: "keras") { other in
        for (directory, value) in [(one, Float(1)), (other, 2)] {
          let file = try File.open(directory.appending(path: "tf_model.h5"), writable: true)
          try file.createDataset("classifier/kernel:0", shape: [1, 2], values: [1, value])
          try file.close()
        }
        let first = try Checkpoint.open(one)
        #expect(first.entries.contains { $0.name == "classifier/kernel:0" && !$0.isUsed })
        let difference = try CheckpointDifference.between(first, Checkpoint.open(other))
        #expect(difference.tensors.map(\.name) == ["classifier/kernel:0"])
        #expect(difference.tensors.map(\.count) == [1])
      }
    }
  }

  @Test("counts all values of a tensor whose shapes differ, and knows no largest difference")
  func otherShape() throws {
    try FixtureFiles.withCopy(of: "flat-torch") { one in
      try FixtureFiles.withCopy(of: "flat-torch") { other in
        for (directory, rows) in [(one, 2), (other, 3)] {
          let weights = try Checkpoint.open(directory).weightsFile
          let file = try File.open(weights, writable: true)
          try file.createDataset(
            "cls.extra.weight", shape: [rows, 4], values: [Float](repeating: 1, count: 4 * rows))
          try file.close()
        }
        let difference = try CheckpointDifference.between(Checkpoint.open(one), Checkpoint.open(other))
        #expect(difference.tensors.map(\.name) == ["cls.extra.weight"])
        #expect(difference.tensors[0].count == 12 && difference.tensors[0].largest == nil)
      }
    }
  }

  @Test("gives norm and cosine of a slot's change", arguments: ["keras", "flat-torch"])
  func slot(name: String) throws {
    try FixtureFiles.withDirectory { directory in
      let source = try Fixture.open(name)
      let before = try source.weights().valueSlot(layer: 1, index: 4)
      let turned = ValueSlot(layer: 1, index: 4, values: before.map { -3 * $0 })
      _ = try source.writePatched([turned], to: directory, overwrite: false)
      let difference = try CheckpointDifference.between(source, Checkpoint.open(directory))
      let slot = try #require(difference.slots.first)
      #expect(difference.slots.count == 1)
      #expect((slot.layer, slot.index) == (1, 4))
      #expect(slot.before == before)
      #expect(slot.after == turned.values)
      // Values are float32, so that -3 times one is off by at most 2⁻²⁴ of it.
      #expect(abs(try #require(slot.cosine) + 1) < 1e-6)
      #expect(abs(slot.norm / slot.normBefore - 4) < 1e-6)
      #expect(difference.tensors.map(\.count) == [16])
    }
  }

  @Test("gives no cosine for a slot that was erased")
  func erased() throws {
    try FixtureFiles.withDirectory { directory in
      let source = try Fixture.open("safetensors")
      let zero = ValueSlot(layer: 0, index: 9, values: [Float](repeating: 0, count: 16))
      _ = try source.writePatched([zero], to: directory, overwrite: false)
      let slot = try #require(CheckpointDifference.between(source, Checkpoint.open(directory)).slots.first)
      #expect(slot.cosine == nil)
      #expect(slot.norm == slot.normBefore)
    }
  }

  @Test("counts rounding to 16 bits as a difference")
  func rounded() throws {
    let difference = try CheckpointDifference.between(Fixture.open("keras"), Fixture.open("safetensors-bf16"))
    #expect(!difference.isEqual)
    #expect(difference.slots.count == Fixture.layerCount * Fixture.neurons)
  }

  @Test("of different sizes, says which and compares no tensors")
  func sizes() throws {
    try FixtureFiles.withCopy(of: "keras") { directory in
      try Fixture.edit(
        directory.appending(path: "config.json"), "\"num_attention_heads\": 2", "\"num_attention_heads\": 4")
      let difference = try CheckpointDifference.between(Fixture.open("keras"), Checkpoint.open(directory))
      #expect(difference.configurations == ["num_attention_heads: 2 and 4"])
      #expect(!difference.isEqual)
      #expect(difference.tensors.isEmpty)
    }
  }
}
