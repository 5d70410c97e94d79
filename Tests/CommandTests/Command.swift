import FixtureFiles
import Foundation
import Testing

/// Runs the built `knedit` as a user would.
struct Command {
  let status: Int32
  let output: String
  let errors: String

  /// The executable lies beside the test bundle.
  private static let executable: URL = {
    var directory = URL(filePath: CommandLine.arguments[0]).deletingLastPathComponent()
    while directory.path != "/" {
      let candidate = directory.appending(path: "knedit")
      if FileManager.default.isExecutableFile(atPath: candidate.path),
        (try? candidate.resourceValues(forKeys: [.isDirectoryKey]).isDirectory) != true
      {
        return candidate
      }
      directory.deleteLastPathComponent()
    }
    return URL(filePath: "knedit")
  }()

  init(_ arguments: String...) throws { try self.init(arguments) }

  /// Runs it; `output` takes standard output in place of ``output``, and `input` is what it reads.
  init(_ arguments: [String], input: String? = nil, output other: FileHandle? = nil) throws {
    let process = Process()
    process.executableURL = Self.executable
    process.arguments = arguments
    let scratch = FileManager.default.temporaryDirectory.appending(path: "knedit-command-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: scratch) }
    // Files, not pipes: a pipe that nobody reads meanwhile would stop a talkative command.
    let (out, err) = (scratch.appending(path: "out"), scratch.appending(path: "err"))
    for url in [out, err] { try Data().write(to: url) }
    process.standardOutput = try other ?? FileHandle(forWritingTo: out)
    process.standardError = try FileHandle(forWritingTo: err)
    if let input {
      let pipe = Pipe()
      process.standardInput = pipe
      try pipe.fileHandleForWriting.write(contentsOf: Data(input.utf8))
      try pipe.fileHandleForWriting.close()
    }
    try process.run()
    process.waitUntilExit()
    status = process.terminationStatus
    output = try String(contentsOf: out, encoding: .utf8)
    errors = try String(contentsOf: err, encoding: .utf8)
  }

  /// Standard output as a JSON object.
  func json() throws -> [String: Any] {
    try #require(try JSONSerialization.jsonObject(with: Data(output.utf8)) as? [String: Any])
  }

  /// Whether it failed as bad input should: status 1, one sentence, nothing on standard output.
  var failedPlainly: Bool {
    status == 1 && output.isEmpty && errors.hasPrefix("Error: ") && (errors.hasSuffix(".\n") || errors.hasSuffix("?\n"))
      && errors.dropLast().contains("\n") == false
  }

  static let model = FixtureFiles.directory.appending(path: "keras").path
  static let relations = FixtureFiles.directory.appending(path: "relations").path
  static let fixture = ["--model", model, "--relations", relations, "--quiet"]
}
