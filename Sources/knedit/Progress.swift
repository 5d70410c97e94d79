import Foundation

#if canImport(Glibc)
  import Glibc
#endif

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
