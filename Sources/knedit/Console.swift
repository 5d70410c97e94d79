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

  static func bold(_ text: String) -> String { usesColour ? "\u{1b}[1m\(text)\u{1b}[0m" : text }

  static func note(_ text: String) { say(text + "\n") }

  /// Writes to standard error; where that cannot be written, nobody can be told.
  static func say(_ text: String) { try? FileHandle.standardError.write(contentsOf: Data(text.utf8)) }

  /// Prints results, or writes them to a file in one step.
  static func deliver(_ text: String, to path: String?) throws {
    let ended = text.hasSuffix("\n") ? text : text + "\n"
    guard let path else {
      do { try FileHandle.standardOutput.write(contentsOf: Data(ended.utf8)) } catch {
        if isClosedPipe(error) { endAsReaderGone() }
        throw OutputError(path: nil)
      }
      return
    }
    let url = URL(filePath: path).resolvingSymlinksInPath()
    let type = try? FileManager.default.attributesOfItem(atPath: url.path)[.type] as? FileAttributeType
    do {
      // A terminal or a pipe is written to; only files are replaced.
      if type == nil || type == .typeRegular { return try Data(ended.utf8).write(to: url, options: .atomic) }
      let handle = try FileHandle(forWritingTo: url)
      try handle.write(contentsOf: Data(ended.utf8))
      try handle.close()
    } catch { throw OutputError(path: path) }
  }

  private static func isClosedPipe(_ error: any Error) -> Bool {
    let error = error as NSError
    let cause = error.userInfo[NSUnderlyingErrorKey] as? NSError ?? error
    return cause.domain == NSPOSIXErrorDomain && cause.code == Int(EPIPE)
  }

  /// Ends quietly, as other tools do before `head`.
  private static func endAsReaderGone() {
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

/// Rows of text with aligned columns.
struct Table {
  private var rows: [[String]] = []
  private let rightAligned: Set<Int>

  /// A table whose first row is `header`; columns in `right` are aligned right.
  init(_ header: [String], right: Set<Int> = []) {
    rightAligned = right
    if !header.isEmpty { rows.append(header) }
  }

  mutating func add(_ cells: String...) { rows.append(cells) }
  mutating func add(_ cells: [String]) { rows.append(cells) }

  var text: String {
    let count = rows.map(\.count).max() ?? 0
    let widths = (0..<count).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
      var line = row.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return rightAligned.contains(column) ? space + cell : cell + space
      }.joined(separator: "  ")
      while line.hasSuffix(" ") { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }
}

/// How far long work has come: a bar with an estimate on a terminal, plain lines elsewhere, nothing when quiet.
final class Progress {
  private let label: String
  private let total: Int
  private let quiet: Bool
  private let start = ContinuousClock.now
  private let isTerminal = isatty(STDERR_FILENO) == 1
  private var lastTenth = 0

  init(_ label: String, total: Int, quiet: Bool) {
    self.label = label
    self.total = total
    self.quiet = quiet
  }

  func update(_ done: Int) {
    guard !quiet, total > 0 else { return }
    let seconds = Double((ContinuousClock.now - start) / .milliseconds(1)) / 1000
    let left = done > 0 ? seconds / Double(done) * Double(total - done) : 0
    let estimate = done == total ? Self.time(seconds) : "about \(Self.time(left)) left"
    if isTerminal {
      let filled = 30 * done / total
      let bar = String(repeating: "█", count: filled) + String(repeating: "░", count: 30 - filled)
      Console.say("\r\u{1b}[K\(label) \(bar) \(done)/\(total), \(estimate)" + (done == total ? "\n" : ""))
    } else {
      let tenth = 10 * done / total
      guard tenth > lastTenth else { return }
      lastTenth = tenth
      Console.note("\(label): \(done) of \(total), \(estimate)")
    }
  }

  private static func time(_ seconds: Double) -> String {
    if seconds < 60 { return String(format: "%.1f s", seconds) }
    if seconds < 3600 { return "\(Int(seconds) / 60) min \(Int(seconds) % 60) s" }
    return "\(Int(seconds) / 3600) h \(Int(seconds) % 3600 / 60) min"
  }
}
