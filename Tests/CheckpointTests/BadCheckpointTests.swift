import Checkpoint
import FixtureFiles
import Foundation
import HDF5
import Testing

@Suite("A checkpoint that cannot be used")
struct BadCheckpointTests {
  private static let output = "bert/tf_bert_for_masked_lm/bert/encoder/layer_._1/output/dense/kernel:0"

  /// The error of opening a copy of a fixture that `change` has spoilt, and of reading its weights if it opens.
  private func error(
    _ name: String, at location: SourceLocation = #_sourceLocation, _ change: (URL) throws -> Void
  ) throws -> CheckpointError {
    try FixtureFiles.withCopy(of: name) { directory in
      try change(directory)
      return try Fixture.error(at: location) { () throws(CheckpointError) in
        try Checkpoint.open(directory).weights()
      }
    }
  }

  /// Writes the datasets of a fixture's HDF5 file anew, each as `change` returns it; nil leaves one out.
  private func rewrite(
    _ directory: URL, _ change: (String, [Int], [Float]) -> (String, [Int], [Float])?
  ) throws {
    let url = directory.appending(path: "tf_model.h5")
    let source = try File.open(url)
    let copy = try File.create(directory.appending(path: "new.h5"))
    for object in try source.objects() where object.kind == .dataset {
      let dataset = try source.dataset(object.path)
      let values = try dataset.floats(expecting: dataset.shape)
      guard let (path, shape, values) = change(object.path, dataset.shape, values) else { continue }
      try copy.createDataset(path, shape: shape, values: values)
    }
    try copy.close()
    try source.close()
    try FileManager.default.removeItem(at: url)
    try FileManager.default.moveItem(at: directory.appending(path: "new.h5"), to: url)
  }

  @Test("no such directory, and a directory without weights, config.json or vocab.txt")
  func missingFiles() throws {
    let nowhere = try Fixture.error { () throws(CheckpointError) in
      try Checkpoint.open(URL(filePath: "/no/such/model"))
    }
    guard case .missingFile(let path, _) = nowhere else { throw nowhere }
    #expect(path == "/no/such/model")
    for file in ["tf_model.h5", "config.json", "vocab.txt"] {
      let error = try error("keras") { try FileManager.default.removeItem(at: $0.appending(path: file)) }
      guard case .missingFile(let path, _) = error else { throw error }
      #expect(path.hasSuffix("/keras/\(file)"))
    }
  }

  @Test(
    "weights of a kind that is not read are named, with how to convert them",
    arguments: ["pytorch_model.bin", "model.safetensors.index.json"])
  func unreadWeights(name: String) throws {
    let error = try error("keras") {
      try FileManager.default.moveItem(at: $0.appending(path: "tf_model.h5"), to: $0.appending(path: name))
    }
    #expect(error.description.contains("reads no \(name)") && error.description.contains("save_pretrained"))
  }

  @Test("text in place of HDF5")
  func notHDF5() throws {
    let error = try error("keras") { try Data("hello".utf8).write(to: $0.appending(path: "tf_model.h5")) }
    #expect(error.description.hasSuffix("keras/tf_model.h5 cannot be read: it is not an HDF5 file."))
  }

  @Test("a file cut short", arguments: Fixture.exact + Fixture.rounded)
  func truncated(name: String) throws {
    let isHDF5 = !name.hasPrefix("safetensors")
    let error = try error(name) { directory in
      let url = directory.appending(path: isHDF5 ? "tf_model.h5" : "model.safetensors")
      try Data(contentsOf: url).dropLast(1_000).write(to: url)
    }
    guard case .unreadable(_, let reason) = error else { throw error }
    #expect(reason.contains(isHDF5 ? "truncated file" : "cut short"))
  }

  @Test("a tensor that is not there, named as this layout would name it")
  func missingTensor() throws {
    let keras = try error("keras") { try rewrite($0) { $0 == Self.output ? nil : ($0, $1, $2) } }
    guard case .missingTensor(let name, _) = keras else { throw keras }
    #expect(name.hasSuffix("bert/encoder/layer_._1/output/dense/kernel:0"))
    let flat = try error("flat-torch") {
      try rewrite($0) { $0 == "bert.encoder.layer.0.intermediate.dense.bias" ? nil : ($0, $1, $2) }
    }
    #expect(flat.description.contains("has no tensor bert.encoder.layer.0.intermediate.dense.bias"))
  }

  @Test("a BERT without a masked-language-model head", arguments: ["keras", "flat-torch"])
  func noHead(name: String) throws {
    let error = try error(name) {
      try rewrite($0) { $0.hasPrefix("mlm___cls") || $0.hasPrefix("cls") ? nil : ($0, $1, $2) }
    }
    guard case .missingHead = error else { throw error }
    #expect(error.description.contains("has no masked-language-model head"))
  }

  @Test("an HDF5 file of something else")
  func otherContents() throws {
    let error = try error("keras") { directory in
      let url = directory.appending(path: "tf_model.h5")
      let file = try File.create(url, replacing: true)
      try file.createDataset("R1/attributions", shape: [2], values: [1, 2])
      try file.close()
    }
    #expect(error.description.hasSuffix("it holds no tensors of a BERT model."))
  }

  @Test("a tensor of another shape than config.json asks for")
  func wrongShape() throws {
    let error = try error("keras") {
      try rewrite($0) { $0 == Self.output ? ($0, [16, 16], Array($2.prefix(256))) : ($0, $1, $2) }
    }
    guard case .wrongShape(let name, let expected, let found, _) = error else { throw error }
    #expect(name == Self.output)
    #expect(expected == [32, 16])
    #expect(found == [16, 16])
  }

  @Test("config.json of another size")
  func otherConfiguration() throws {
    let error = try error("safetensors") {
      try Fixture.edit($0.appending(path: "config.json"), "\"vocab_size\": 89", "\"vocab_size\": 90")
    }
    guard case .wrongShape(let name, let expected, let found, _) = error else { throw error }
    #expect(name == "bert.embeddings.word_embeddings.weight")
    #expect(expected == [90, 16])
    #expect(found == [89, 16])
  }

  @Test(
    "more layers than config.json says, which must not be left out silently",
    arguments: ["keras", "safetensors"])
  func moreLayers(name: String) throws {
    let error = try error(name) {
      try Fixture.edit(
        $0.appending(path: "config.json"), "\"num_hidden_layers\": 2", "\"num_hidden_layers\": 1")
    }
    guard case .badConfiguration(let path, let reason) = error else { throw error }
    #expect(path.hasSuffix("/config.json") && reason.contains("num_hidden_layers is 1, but"))
  }

  @Test("projections stored both ways round")
  func mixedOrientation() throws {
    let error = try error("flat-torch") {
      try rewrite($0) { name, shape, values in
        name == "bert.encoder.layer.1.output.dense.weight" ? (name, [32, 16], values) : (name, shape, values)
      }
    }
    guard case .inconsistent(_, let reason) = error else { throw error }
    #expect(reason.contains("bert.encoder.layer.1.output.dense.weight is stored the other way round"))
  }

  @Test("two tensors for one place")
  func twoSpellings() throws {
    let error = try error("flat-torch") { directory in
      let file = try File.open(directory.appending(path: "tf_model.h5"), writable: true)
      try file.createDataset(
        "bert.embeddings.LayerNorm.gamma", shape: [16], values: [Float](repeating: 1, count: 16))
      try file.close()
    }
    guard case .inconsistent(_, let reason) = error else { throw error }
    #expect(reason.contains("two tensors for one place"))
  }

  @Test("a NaN or an infinity, with its tensor and place", arguments: [Float.nan, .infinity, -.infinity])
  func notFinite(value: Float) throws {
    let error = try error("keras") { directory in
      let file = try File.open(directory.appending(path: "tf_model.h5"), writable: true)
      let dataset = try file.dataset(Self.output)
      var row = try dataset.row(3)
      row[5] = value
      try dataset.writeRow(3, row)
      try file.close()
    }
    guard case .notFinite(let name, let index, _) = error else { throw error }
    #expect(name == Self.output)
    #expect(index == 3 * 16 + 5)
  }

  @Test("a few kilobytes whose shapes and config.json agree on terabytes, before memory is taken")
  func gigantic() throws {
    let checkpoint = try Fixture.open("gigantic")
    #expect(checkpoint.entries.contains { $0.shape == [1 << 20, 1 << 21] })
    let error = try Fixture.error { () throws(CheckpointError) in try checkpoint.weights() }
    guard case .unreadable(_, let reason) = error else { throw error }
    #expect(reason.contains("no value was ever written to it"))
  }

  @Test(
    "a config.json that describes another model, naming the key",
    arguments: [
      ("\"hidden_act\": \"gelu\"", "\"hidden_act\": \"gelu_new\"", "hidden_act"),
      ("\"model_type\": \"bert\"", "\"model_type\": \"roberta\"", "model_type"),
      ("\"absolute\"", "\"relative_key\"", "position_embedding_type"),
      ("\"num_attention_heads\": 2", "\"num_attention_heads\": 3", "num_attention_heads"),
      ("\"hidden_size\": 16", "\"hidden_size\": 0", "hidden_size"),
      ("\"hidden_size\": 16", "\"hidden_size\": -16", "hidden_size"),
      ("\"hidden_size\": 16", "\"hidden_size\": \"16\"", "key hidden_size has the wrong type"),
      ("\"hidden_size\": 16", "\"hidden_size\": 1.5", "is not whole"),
      ("\"vocab_size\": 89", "\"vocab_size\": 4611686018427387904", "vocab_size"),
      ("\"intermediate_size\": 32,", "", "intermediate_size"),
      ("\"pad_token_id\": 0", "\"is_decoder\": true", "is_decoder"),
      ("\"pad_token_id\": 0", "\"tie_word_embeddings\": false", "tie_word_embeddings"),
    ])
  func configuration(old: String, new: String, key: String) throws {
    let error = try error("keras") { try Fixture.edit($0.appending(path: "config.json"), old, new) }
    guard case .badConfiguration(let path, let reason) = error else { throw error }
    #expect(path.hasSuffix("keras/config.json"))
    #expect(reason.contains(key))
  }

  @Test("a config.json that is no JSON object", arguments: ["", "[]", "{", "{\"hidden_size\": }"])
  func notJSON(text: String) throws {
    let error = try error("keras") { try Data(text.utf8).write(to: $0.appending(path: "config.json")) }
    guard case .badConfiguration(_, let reason) = error else { throw error }
    #expect(reason == "it is not a JSON object")
  }
}
