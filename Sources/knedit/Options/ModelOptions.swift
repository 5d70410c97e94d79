import ArgumentParser
import BERT
import Checkpoint
import Foundation
import Kernels

/// Where the model comes from, and how many threads it may use.
struct ModelOptions: ParsableArguments {
  @Option(
    help: """
      A model directory, or its tf_model.h5 or model.safetensors. Default: the bundled demo; of a record, what it names.
      """)
  var model: String?

  @Option(parsing: .unconditional, help: "Threads to use. Default: all cores.")
  var threads: Int?

  func validate() throws {
    if let threads, threads < 1 { throw ValidationError("--threads must be at least 1.") }
  }

  var threadCount: ThreadCount { threads.map(ThreadCount.init) ?? .allCores }

  func modelPath() throws -> String { try model ?? DemoCheckpoint.path(insteadOf: "--model") }

  /// Opens the model, or the one at `path`, and says on standard error, unless `quiet`, what of its directory is not read.
  func openModel(at path: String? = nil, quiet: Bool) throws -> MaskedLanguageModel {
    let path = try path ?? modelPath()
    let model = try MaskedLanguageModel(opening: URL(filePath: path))
    let isFile = path.hasSuffix(model.checkpoint.weightsFile.lastPathComponent)
    for other in model.checkpoint.otherWeights where !quiet && !isFile {
      Console.note(
        "Reading \(model.checkpoint.weightsFile.lastPathComponent); \(other.lastPathComponent) beside it is not read "
          + "(to use it, pass its path to --model).")
    }
    return model
  }
}

extension MaskedLanguageModel {
  /// Says on standard error where the weights file is no longer what was opened: it is read where it lies while it is needed, so that
  /// results may be of both.
  func noteChange() {
    guard (try? checkpoint.requireUnchanged()) == nil else { return }
    Console.note(
      "\(checkpoint.weightsFile.path) was changed or replaced while it was read, so that these results may mix two models; run "
        + "this again.")
  }
}
