import Checkpoint
import FixtureFiles
import Foundation
import Testing

private let h5diffPath = ["/usr/bin/h5diff", "/usr/local/bin/h5diff", "/opt/homebrew/bin/h5diff"]
  .first { FileManager.default.isExecutableFile(atPath: $0) }

@Suite("The trained reference model", .enabled(if: SharedReference.isEnabled))
struct SharedCheckpointTests {
  @Test("is the same as TensorFlow's HDF5 file and as PyTorch's safetensors file")
  func equal() throws {
    let keras = try Checkpoint.open(SharedReference.model)
    #expect(keras.format == .keras(root: "tf_bert_for_masked_lm"))
    #expect(keras.otherWeights.map(\.lastPathComponent) == ["model.safetensors"])
    let torch = try Checkpoint.open(SharedReference.model.appending(path: "model.safetensors"))
    #expect(try CheckpointDifference.between(keras, torch).isEqual)
    #expect(try keras.weights().wordEmbeddings.isMapped)
    #expect(try torch.weights().wordEmbeddings.isMapped)
  }

  @Test(
    "patched, differs for h5diff in the W2 of the layer concerned and nowhere else",
    .enabled(if: h5diffPath != nil))
  func h5diff() throws {
    try FixtureFiles.withDirectory { directory in
      let source = try Checkpoint.open(SharedReference.model)
      let slot = ValueSlot(layer: 3, index: 1000, values: [Float](repeating: 0.25, count: 256))
      let written = try source.writePatched([slot], to: directory, overwrite: false)
      let process = Process()
      process.executableURL = URL(filePath: try #require(h5diffPath))
      process.arguments = [source.weightsFile.path, written.path]
      let output = Pipe()
      process.standardOutput = output
      try process.run()
      let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
      process.waitUntilExit()
      #expect(process.terminationStatus == 1)
      let differing = text.split(separator: "\n").filter { $0.contains("dataset:") }
      #expect(differing.count == 1)
      #expect(differing.first?.contains("encoder/layer_._3/output/dense/kernel:0") == true)
      #expect(text.contains("256 differences found"))
    }
  }
}
