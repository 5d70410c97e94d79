import ArgumentParser
import Checkpoint
import Foundation

/// A file that takes the results in place of standard output.
struct ResultFileOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "Write the results to this file in place of standard output.")
  var output: String?

  /// Refuses, before any work is done, a file that cannot be written, that may be part of a model, or that is one of the
  /// command's other files.
  func check(others: [String?] = []) throws {
    if let output { try Self.requireFree(output, others: others) }
  }

  /// The same for a result by any option.
  static func requireFree(_ path: String, others: [String?]) throws {
    let place = URL(filePath: path).resolvingSymlinksInPath()
    try Checkpoint.requireNoPart(place)
    if others.contains(where: { $0.map { URL(filePath: $0).resolvingSymlinksInPath() } == place }) {
      throw InputError("\(path) is another file of this command; write the result to one of its own.")
    }
    let files = FileManager.default
    var isDirectory: ObjCBool = false
    if files.fileExists(atPath: place.path, isDirectory: &isDirectory) {
      if isDirectory.boolValue { throw InputError("\(path) is a directory; name a file for the result.") }
      // A terminal or a pipe is written to as it is.
      if (try? files.attributesOfItem(atPath: place.path)[.type] as? FileAttributeType) != .typeRegular { return }
    }
    guard files.isWritableFile(atPath: place.deletingLastPathComponent().path) else {
      throw Console.OutputError(path: path)
    }
  }
}
