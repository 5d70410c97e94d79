import Foundation

/// Finds the demo checkpoint that comes with knedit.
enum DemoCheckpoint {
  /// KNEDIT_DEMO, or Checkpoints/demo in the working directory, or in one above the executable.
  static func path(insteadOf option: String) throws -> String {
    if let path = ProcessInfo.processInfo.environment["KNEDIT_DEMO"] { return path }
    let relative = "Checkpoints/demo"
    let files = FileManager.default
    if files.fileExists(atPath: relative + "/config.json") { return relative }
    var directory = Bundle.main.executableURL?.resolvingSymlinksInPath().deletingLastPathComponent()
    while let current = directory, current.path != "/" {
      let candidate = current.appending(path: relative)
      if files.fileExists(atPath: candidate.appending(path: "config.json").path) { return candidate.path }
      directory = current.deletingLastPathComponent()
    }
    throw InputError(
      "The bundled demo checkpoint was not found; pass \(option), or set KNEDIT_DEMO to its directory (Checkpoints/demo)."
    )
  }
}
