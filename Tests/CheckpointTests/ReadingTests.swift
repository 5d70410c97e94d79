import Checkpoint
import FixtureFiles
import Foundation
import HDF5
import Testing

@Suite("Reading a checkpoint")
struct ReadingTests {
  @Test("every layout that stores float32 exactly gives the same weights", arguments: Fixture.exact)
  func exact(name: String) throws {
    let expected = try Fixture.open("keras").weights().named
    let found = try Fixture.open(name).weights().named
    #expect(found.count == expected.count)
    for (one, other) in zip(found, expected) {
      #expect(one.name == other.name)
      #expect(one.values == other.values, "\(one.name)")
    }
  }

  // Half of float16's 2⁻¹⁰ and bfloat16's 2⁻⁷ spacing, relative to the value, is what rounding to nearest may cost;
  // below 2⁻¹⁴ float16 has the fixed spacing 2⁻²⁴.
  @Test(
    "16-bit checkpoints give the weights as closely as the format can hold",
    arguments: [("flat-half", 0x1p-11), ("safetensors-f16", 0x1p-11), ("safetensors-bf16", 0x1p-8)])
  func rounded(name: String, tolerance: Double) throws {
    let expected = try Fixture.open("keras").weights().named
    let found = try Fixture.open(name).weights().named
    var differing = 0
    for (one, other) in zip(found, expected) {
      for (value, exact) in zip(one.values, other.values) {
        #expect(abs(Double(value) - Double(exact)) <= abs(Double(exact)) * tolerance + 0x1p-25, "\(one.name)")
        if value != exact { differing += 1 }
      }
    }
    #expect(differing > 1_000)
  }

  @Test("the same float16 numbers read alike through the HDF5 library and from safetensors")
  func halves() throws {
    let one = try Fixture.open("flat-half").weights().named
    let other = try Fixture.open("safetensors-f16").weights().named
    for (a, b) in zip(one, other) { #expect(a.values == b.values, "\(a.name)") }
  }

  @Test(
    "the layout is found in the file, with Keras' root name",
    arguments: [
      ("keras", CheckpointFormat.keras(root: "tf_bert_for_masked_lm")),
      ("keras-pretraining", .keras(root: "tf_bert_for_pre_training_2")),
      ("flat-torch", .flatHDF5), ("flat-transposed", .flatHDF5), ("safetensors-bf16", .safetensors),
    ])
  func format(name: String, format: CheckpointFormat) throws {
    #expect(try Fixture.open(name).format == format)
  }

  @Test("a Keras file without a root level reads as well")
  func noRoot() throws {
    try FixtureFiles.withCopy(of: "keras") { directory in
      let source = try File.open(directory.appending(path: "tf_model.h5"))
      let url = directory.appending(path: "without_root.h5")
      let copy = try File.create(url)
      for object in try source.objects() where object.kind == .dataset {
        let dataset = try source.dataset(object.path)
        let path = object.path.replacing("tf_bert_for_masked_lm/", with: "")
        try copy.createDataset(path, shape: dataset.shape, values: dataset.floats(expecting: dataset.shape))
      }
      try copy.close()
      let checkpoint = try Checkpoint.open(url)
      #expect(checkpoint.format == .keras(root: ""))
      #expect(try CheckpointDifference.between(checkpoint, Fixture.open("keras")).isEqual)
    }
  }

  @Test(
    "projections are told by shape in flat files",
    arguments: [("flat-torch", false), ("flat-transposed", true)])
  func orientation(name: String, byInput: Bool) throws {
    let weights = try Fixture.open(name).weights()
    #expect(weights.layers[0].output.orientation == (byInput ? .inputByOutput : .outputByInput))
    #expect(weights.layers[0].output.weight.shape == (byInput ? [32, 16] : [16, 32]))
    #expect(weights.layers[1].query.orientation == weights.layers[0].output.orientation)
  }

  @Test("contiguous little-endian float32 is mapped, everything else converted")
  func mapped() throws {
    #expect(try Fixture.open("keras").weights().wordEmbeddings.isMapped)
    #expect(try Fixture.open("safetensors").weights().wordEmbeddings.isMapped)
    for name in ["keras-compressed", "flat-half", "flat-double", "safetensors-bf16"] {
      #expect(try !Fixture.open(name).weights().wordEmbeddings.isMapped)
    }
  }

  @Test("the configuration is config.json's")
  func configuration() throws {
    let configuration = try Fixture.open("safetensors").configuration
    #expect(configuration.hiddenSize == 16)
    #expect(configuration.layerCount == 2)
    #expect(configuration.headCount == 2)
    #expect(configuration.intermediateSize == 32)
    #expect(configuration.vocabularySize == 89)
    #expect(configuration.maximumPositions == 512)
    #expect(configuration.typeVocabularySize == 2)
    #expect(configuration.layerNormEpsilon == 1e-12)
  }

  @Test("entries say what is stored how, and what of it the model reads")
  func entries() throws {
    let entries = try Fixture.open("keras-pretraining").entries
    let pooler = try #require(entries.first { $0.name.hasSuffix("pooler/dense/kernel:0") })
    #expect(!pooler.isUsed)
    let words = entries.filter { $0.canonicalName == "bert.embeddings.word_embeddings.weight" }
    #expect(words.map(\.isUsed) == [true, false])
    #expect(words[0].name.hasPrefix("bert/"))
    #expect(words[0].shape == [89, 16])
    #expect(words[0].element == "F32")
    #expect(words[0].storage == "contiguous")
    let compressed = try #require(
      Fixture.open("keras-compressed").entries.first { $0.name.hasSuffix("output/dense/kernel:0") })
    #expect(compressed.storage.contains("chunked"))
    #expect(compressed.storage.contains("gzip"))
    #expect(try Fixture.open("flat-double").entries.allSatisfy { $0.element == "F64 (big-endian)" })
  }

  @Test("a weights file may be named itself, and of two the HDF5 file is taken and the other listed")
  func choice() throws {
    try FixtureFiles.withCopy(of: "keras") { directory in
      let other = directory.appending(path: "model.safetensors")
      try FileManager.default.copyItem(
        at: Fixture.directory.appending(path: "safetensors/model.safetensors"), to: other)
      let opened = try Checkpoint.open(directory)
      #expect(opened.weightsFile.lastPathComponent == "tf_model.h5")
      #expect(opened.otherWeights.map(\.lastPathComponent) == ["model.safetensors"])
      let named = try Checkpoint.open(other)
      #expect(named.format == .safetensors)
      #expect(named.otherWeights.map(\.lastPathComponent) == ["tf_model.h5"])
    }
  }

  @Test("one weights file of another name is taken, two are not chosen between")
  func otherNames() throws {
    try FixtureFiles.withCopy(of: "safetensors") { directory in
      let weights = directory.appending(path: "model.safetensors")
      let renamed = directory.appending(path: "edited.safetensors")
      try FileManager.default.moveItem(at: weights, to: renamed)
      #expect(try Checkpoint.open(directory).weightsFile.lastPathComponent == "edited.safetensors")
      try FileManager.default.copyItem(at: renamed, to: directory.appending(path: "again.safetensors"))
      let error = try Fixture.error { () throws(CheckpointError) in try Checkpoint.open(directory) }
      #expect(error.description.contains("where there are several, name one of them"))
    }
  }

  @Test("files behind symbolic links are read, as in download caches", arguments: ["keras", "safetensors"])
  func links(name: String) throws {
    try FixtureFiles.withDirectory { directory in
      let source = Fixture.directory.appending(path: name)
      for file in try FileManager.default.contentsOfDirectory(atPath: source.path) {
        try FileManager.default.createSymbolicLink(
          at: directory.appending(path: file), withDestinationURL: source.appending(path: file))
      }
      let difference = try CheckpointDifference.between(Checkpoint.open(directory), Fixture.open(name))
      #expect(difference.isEqual)
    }
  }

  @Test(
    "a value slot is row i of W2 as [intermediate, hidden], whichever way it is stored",
    arguments: Fixture.exact)
  func valueSlot(name: String) throws {
    let reference = try Fixture.open("keras").weights().layers[1].output.weight
    let weights = try Fixture.open(name).weights()
    #expect(weights.valueSlot(layer: 1, index: 7) == reference.row(7))
  }

  @Test("replacing value slots changes those and nothing else", arguments: ["keras", "flat-torch"])
  func replacing(name: String) throws {
    let weights = try Fixture.open(name).weights()
    let slots = [Fixture.slot(1, 7), Fixture.slot(1, 31)]
    let replaced = weights.replacingValueSlots(slots)
    for (before, after) in zip(weights.named, replaced.named) where before.name != "1 output" {
      #expect(before.values == after.values, "\(before.name)")
    }
    for index in 0..<Fixture.neurons {
      let expected = slots.first { $0.index == index }?.values ?? weights.valueSlot(layer: 1, index: index)
      #expect(replaced.valueSlot(layer: 1, index: index) == expected)
    }
    #expect(replaced.layers[0].output.weight.isMapped)
  }

  @Test("a file's fingerprint is the SHA-256 of its bytes")
  func sha256() throws {
    try FixtureFiles.withDirectory { directory in
      let url = directory.appending(path: "abc")
      try Data("abc".utf8).write(to: url)
      // FIPS 180-2, appendix B.1.
      let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
      #expect(try fingerprint(of: url) == expected)
    }
  }

  @Test("of four-byte numbers that are not IEEE 754's are as the HDF5 library reads them, not mapped as they lie")
  func otherFloats() throws {
    try FixtureFiles.withCopy(of: "keras") { directory in
      let file = directory.appending(path: "tf_model.h5")
      // The datatype message of little-endian binary32, and the same with an exponent bias of 126: twice the value.
      let fields: [UInt8] = [0x11, 0x20, 0x1f, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23]
      var bytes = try Data(contentsOf: file)
      var start = bytes.startIndex
      while let found = bytes.range(of: Data(fields + [127, 0, 0, 0]), in: start..<bytes.endIndex) {
        bytes[found.lowerBound + fields.count] = 126
        start = found.upperBound
      }
      try #require(start > bytes.startIndex)
      let before = try Checkpoint.open(directory).weights().valueSlot(layer: 0, index: 3)
      try bytes.write(to: file)
      let after = try Checkpoint.open(directory).weights().valueSlot(layer: 0, index: 3)
      #expect(after == before.map { 2 * $0 })
    }
  }
}
