import Checkpoint
import FixtureFiles
import Foundation
import HDF5
import Tensors
import Testing

/// The tiny checkpoints that `make_fixtures.py` writes, and places for files of a test's own.
enum Fixture {
  static let directory = FixtureFiles.directory

  /// The checkpoints whose stored numbers are float32 exactly.
  static let exact = [
    "keras", "keras-pretraining", "keras-compressed", "flat-torch", "flat-transposed", "flat-double",
    "safetensors",
  ]
  /// The checkpoints stored in 16 bits.
  static let rounded = ["flat-half", "safetensors-f16", "safetensors-bf16"]

  static let layerCount = 2
  static let hidden = 16
  static let neurons = 32

  static func open(_ name: String) throws(CheckpointError) -> Checkpoint {
    try Checkpoint.open(directory.appending(path: name))
  }

  /// Replaces text in a file.
  static func edit(_ url: URL, _ old: String, _ new: String) throws {
    let text = try String(contentsOf: url, encoding: .utf8)
    try #require(text.contains(old))
    try text.replacing(old, with: new).write(to: url, atomically: true, encoding: .utf8)
  }

  /// The error that `body` throws.
  static func error(
    at location: SourceLocation = #_sourceLocation, _ body: () throws(CheckpointError) -> some Any
  ) throws -> CheckpointError {
    var thrown: CheckpointError?
    do throws(CheckpointError) { _ = try body() } catch { thrown = error }
    return try #require(thrown, "no error was thrown", sourceLocation: location)
  }

  /// What a directory holds, by name.
  static func contents(_ directory: URL) throws -> [String: Data] {
    let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
    return try Dictionary(
      uniqueKeysWithValues: names.map { ($0, try Data(contentsOf: directory.appending(path: $0))) })
  }

  /// A slot that no fixture holds; its values are exact in every number format.
  static func slot(_ layer: Int, _ index: Int) -> ValueSlot {
    ValueSlot(layer: layer, index: index, values: (0..<hidden).map { Float($0 + index) / 4 - 2 })
  }
}

extension BERTWeights {
  /// Every tensor by a name, projections turned to `[in, out]`.
  var named: [(name: String, values: [Float])] {
    var result: [(String, [Float])] = [
      ("word", wordEmbeddings.values), ("position", positionEmbeddings.values),
      ("type", typeEmbeddings.values),
      ("embeddingScale", embeddingNorm.scale.values), ("embeddingShift", embeddingNorm.shift.values),
      ("decoderBias", decoderBias.values), ("headScale", headNorm.scale.values),
      ("headShift", headNorm.shift.values),
    ]
    func add(_ name: String, _ projection: Projection) {
      let weight = projection.weight
      let values =
        projection.orientation == .inputByOutput
        ? weight.values : (0..<weight.columns).flatMap { weight.column($0) }
      result.append((name, values))
      result.append((name + "Bias", projection.bias.values))
    }
    add("headTransform", headTransform)
    for (index, layer) in layers.enumerated() {
      add("\(index) query", layer.query)
      add("\(index) key", layer.key)
      add("\(index) value", layer.value)
      add("\(index) attentionOutput", layer.attentionOutput)
      add("\(index) intermediate", layer.intermediate)
      add("\(index) output", layer.output)
      result.append(("\(index) attentionScale", layer.attentionNorm.scale.values))
      result.append(("\(index) attentionShift", layer.attentionNorm.shift.values))
      result.append(("\(index) outputScale", layer.outputNorm.scale.values))
      result.append(("\(index) outputShift", layer.outputNorm.shift.values))
    }
    return result
  }
}
