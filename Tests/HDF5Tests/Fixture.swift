import FixtureFiles
import Foundation
import HDF5
import Testing

/// The file of unusual things that `make_fixtures.py` writes, and places for files of a test's own.
enum Fixture {
  static let directory = FixtureFiles.directory
  static let oddities = directory.appending(path: "oddities.h5")

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
