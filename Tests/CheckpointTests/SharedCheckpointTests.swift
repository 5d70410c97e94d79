import Checkpoint
import FixtureFiles
import Foundation
import Testing

/// The trained model beside the checkout, or where KNEDIT_SHARED says.
private enum Shared {
  static let model: URL = {
    let root =
      ProcessInfo.processInfo.environment["KNEDIT_SHARED"].map { URL(filePath: $0) }
      ?? Fixture.directory.appending(path: "../../../shared").standardizedFileURL
    return root.appending(path: "reference/kn-mini")
  }()

  static let isEnabled =
    FileManager.default.fileExists(atPath: model.path)
    || ProcessInfo.processInfo.environment["KNEDIT_REQUIRE_SHARED"] == "1"

  static let h5diff = ["/usr/bin/h5diff", "/usr/local/bin/h5diff", "/opt/homebrew/bin/h5diff"]
    .first { FileManager.default.isExecutableFile(atPath: $0) }
}

@Suite("The trained reference model", .enabled(if: Shared.isEnabled))
struct SharedCheckpointTests {
  @Test("is the same as TensorFlow's HDF5 file and as PyTorch's safetensors file")
  func equal() throws {
    let keras = try Checkpoint.open(Shared.model)
    #expect(keras.format == .keras(root: "tf_bert_for_masked_lm"))
    #expect(keras.otherWeights.map(\.lastPathComponent) == ["model.safetensors"])
    let torch = try Checkpoint.open(Shared.model.appending(path: "model.safetensors"))
    #expect(try CheckpointDifference.between(keras, torch).isEqual)
    #expect(try keras.weights().wordEmbeddings.isMapped)
    #expect(try torch.weights().wordEmbeddings.isMapped)
  }

  @Test(
    "patched, differs for h5diff in the W2 of the layer concerned and nowhere else",
    .enabled(if: Shared.h5diff != nil))
  func h5diff() throws {
    try FixtureFiles.withDirectory { directory in
      let source = try Checkpoint.open(Shared.model)
      let slot = ValueSlot(layer: 3, index: 1000, values: [Float](repeating: 0.25, count: 256))
      let written = try source.writePatched([slot], to: directory, overwrite: false)
      let process = Process()
      process.executableURL = URL(filePath: try #require(Shared.h5diff))
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
