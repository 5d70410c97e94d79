import ArgumentParser
import Checkpoint
import Foundation
import Relations

struct InspectCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect", abstract: "Show what a checkpoint holds.")

  @Argument(help: "A model directory, or its tf_model.h5 or model.safetensors.")
  var path: String

  @OptionGroup var printing: PrintOptions
  @OptionGroup var file: ResultFileOptions

  private struct Document: Encodable {
    struct Tensor: Encodable {
      let name: String
      let shape: [Int]
      let element: String
      let storage: String
      let used: Bool
    }
    let schema = 1
    let weights: String
    let format: String
    let hiddenSize, layers, heads, neuronsPerLayer, vocabularySize, maximumPositions: Int
    let parameters: Int
    let notRead: [String]
    let tensors: [Tensor]
  }

  func run() throws {
    try file.check(others: [path])
    let checkpoint = try Checkpoint.open(URL(filePath: path))
    let c = checkpoint.configuration
    let used = checkpoint.entries.filter(\.isUsed)
    let document = Document(
      weights: checkpoint.weightsFile.path, format: checkpoint.format.description, hiddenSize: c.hiddenSize,
      layers: c.layerCount, heads: c.headCount, neuronsPerLayer: c.intermediateSize,
      vocabularySize: c.vocabularySize, maximumPositions: c.maximumPositions,
      parameters: used.reduce(0) { $0 + $1.count }, notRead: checkpoint.otherWeights.map(\.lastPathComponent),
      tensors: checkpoint.entries.map {
        .init(name: $0.name, shape: $0.shape, element: $0.element, storage: $0.storage, used: $0.isUsed)
      })
    if printing.format == .json {
      return try Console.deliver(String(decoding: document.json(), as: UTF8.self), to: file.output)
    }
    var summary = Table([])
    summary.add("weights", document.weights)
    summary.add("format", document.format)
    summary.add(
      "model",
      "\(c.layerCount) layers, hidden \(c.hiddenSize), \(c.headCount) heads, "
        + "\(c.intermediateSize) neurons a layer")
    summary.add("vocabulary", "\(c.vocabularySize) word pieces, at most \(c.maximumPositions) a text")
    summary.add("parameters", "\(document.parameters)")
    if !document.notRead.isEmpty { summary.add("not read", document.notRead.joined(separator: ", ")) }
    var tensors = Table(["tensor", "shape", "type", "storage", "used"])
    for tensor in document.tensors {
      tensors.add(
        tensor.name, tensor.shape.map(String.init).joined(separator: "×"), tensor.element, tensor.storage,
        tensor.used ? "yes" : "no")
    }
    try Console.deliver(summary.text + "\n\n" + tensors.text, to: file.output)
  }
}
