import Checkpoint
import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// The terminal: results go to standard output, everything else to standard error.
enum Console {
  /// Colour only on a terminal, and never with NO_COLOR.
  static let usesColour =
    isatty(STDOUT_FILENO) == 1 && ProcessInfo.processInfo.environment["NO_COLOR"] == nil
    && ProcessInfo.processInfo.environment["TERM"] != "dumb"

  /// `text` for a terminal in bold, where no file takes the results.
  static func bold(_ text: String, to path: String?) -> String {
    path == nil && usesColour ? "\u{1b}[1m\(text)\u{1b}[0m" : text
  }

  static func note(_ text: String) { say(text + "\n") }

  /// Writes to standard error; where that cannot be written, nobody can be told.
  static func say(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }

  /// Prints results, or writes them to a file in one step.
  static func deliver(_ text: String, to path: String?) throws {
    guard let path else {
      if try !show(text) { endAsReaderGone() }
      return
    }
    let ended = text.hasSuffix("\n") ? text : text + "\n"
    let url = URL(filePath: path).resolvingSymlinksInPath()
    let type = try? FileManager.default.attributesOfItem(atPath: url.path)[.type] as? FileAttributeType
    do {
      // A terminal or a pipe is written to; only files are replaced.
      if type == nil || type == .typeRegular {
        let partial = PartialFiles.begin(beside: url)
        defer { PartialFiles.discard(partial) }
        try Data(ended.utf8).write(to: partial)
        return try PartialFiles.finish([(partial, url)])
      }
      let handle = try FileHandle(forWritingTo: url)
      try handle.write(contentsOf: Data(ended.utf8))
      try handle.close()
    } catch { throw OutputError(path: path) }
  }

  /// Writes to standard output; false where nobody reads it any more.
  static func show(_ text: String) throws -> Bool {
    let ended = text.hasSuffix("\n") ? text : text + "\n"
    do { try FileHandle.standardOutput.write(contentsOf: Data(ended.utf8)) } catch {
      guard isClosedPipe(error) else { throw OutputError(path: nil) }
      return false
    }
    return true
  }

  private static func isClosedPipe(_ error: any Error) -> Bool {
    let error = error as NSError
    let cause = error.userInfo[NSUnderlyingErrorKey] as? NSError ?? error
    return cause.domain == NSPOSIXErrorDomain && cause.code == Int(EPIPE)
  }

  /// Ends quietly, as other tools do before `head`.
  static func endAsReaderGone() {
    PartialFiles.discardAll()
    signal(SIGPIPE, SIG_DFL)
    kill(getpid(), SIGPIPE)
  }

  struct OutputError: Error, CustomStringConvertible {
    let path: String?
    var description: String {
      path.map { "Cannot write \($0); does its directory exist, and may this user write there?" }
        ?? "Standard output cannot be written; is its disk full, or has its reader gone?"
    }
  }

  static func percent(_ value: Double) -> String { String(format: "%.2f %%", 100 * value) }
  static func number(_ value: Double) -> String { String(format: abs(value) < 1e5 ? "%.3f" : "%.4g", value) }

  /// A change in per cent of what was there, with its sign.
  static func change(_ before: Double, _ after: Double) -> String {
    String(format: "%+.1f %%", 100 * (after - before) / before)
  }
}
