import Foundation
import HDF5
import Testing

/// The file of unusual things that `make_fixtures.py` writes, and places for files of a test's own.
enum Fixture {
  static let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures")
  static let oddities = directory.appending(path: "oddities.h5")

  /// Runs `body` with a new empty directory and removes it.
  static func withDirectory<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let url = FileManager.default.temporaryDirectory.appending(path: "knedit-hdf5-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: url) }
    return try body(url)
  }

  /// The error's sentence, or a recorded failure when there is none.
  static func message(
    _ body: () throws(HDF5Error) -> some Any, at location: SourceLocation = #_sourceLocation
  ) -> String {
    do throws(HDF5Error) {
      _ = try body()
      Issue.record("no error was thrown", sourceLocation: location)
      return ""
    } catch {
      return error.description
    }
  }
}
