import Foundation

/// The small checkpoints that `Tests/Fixtures/make_fixtures.py` writes, and places for files of a test's own.
public enum FixtureFiles {
  /// Where the fixtures lie.
  public static let directory = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Fixtures")

  /// The demo checkpoint of the repository, which has four layers.
  public static let demo = directory.deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Checkpoints/demo")

  /// Runs `body` with a new empty directory and removes it.
  public static func withDirectory<Result>(_ body: (URL) throws -> Result) throws -> Result {
    let url = FileManager.default.temporaryDirectory.appending(path: "knedit-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: url) }
    return try body(url)
  }

  /// Runs `body` with a copy of a fixture that it may change.
  public static func withCopy<Result>(of name: String, _ body: (URL) throws -> Result) throws -> Result {
    try withDirectory { directory in
      let copy = directory.appending(path: name)
      try FileManager.default.copyItem(at: self.directory.appending(path: name), to: copy)
      return try body(copy)
    }
  }
}
