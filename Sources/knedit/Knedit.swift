import ArgumentParser
import Checkpoint
import Foundation
import Kernels

#if canImport(Glibc)
  import Glibc
#endif

/// The command line: commands parse and print; the libraries compute.
@main
struct Knedit: ParsableCommand {
  static let version = "0.1.0"

  static let configuration = CommandConfiguration(
    commandName: "knedit",
    abstract: "Find the neurons that express a fact in a BERT checkpoint, and edit them.",
    discussion: """
      Without --model, commands work on the bundled demo checkpoint; try
        knedit predict "The capital of Ireland is the city of [MASK]."
      """,
    version: version,
    subcommands: [
      InspectCommand.self, PredictCommand.self, LocateCommand.self, UpdateCommand.self, EraseCommand.self,
      DiffCommand.self, EvaluateCommand.self, PerplexityCommand.self, BenchCommand.self,
    ])

  static func main() {
    waitBrieflyInProducts()
    discardPartialFilesOnSignals()
    do {
      var command = try parseAsRoot()
      do { try command.run() } catch { throw AdvisedError.advising(on: error) }
    } catch { exit(withError: error) }
  }

  /// Ends the process as a signal asks, but without leaving half-written files behind.
  ///
  /// No handler may run: oneDNN's products use the stack pointer for other things, and what a handler's frame then overwrites is
  /// anything. So these signals are blocked in every thread, before there is a second one, and one thread waits for them. One
  /// that is ignored from the start, as `nohup` has it, stays so.
  private static func discardPartialFilesOnSignals() {
    // Writing to a pipe that nobody reads, or beyond the largest file allowed, is an error then, which says where it happened.
    signal(SIGPIPE, SIG_IGN)
    signal(SIGXFSZ, SIG_IGN)
    let ignored = unsafeBitCast(SIG_IGN, to: Int.self)
    var awaited = sigset_t()
    sigemptyset(&awaited)
    for number in [SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGXCPU]
    where unsafeBitCast(signal(number, SIG_IGN), to: Int.self) != ignored {
      signal(number, SIG_DFL)
      sigaddset(&awaited, number)
    }
    pthread_sigmask(SIG_BLOCK, &awaited, nil)
    let signals = awaited
    Thread.detachNewThread {
      var signals = signals
      var number: Int32 = 0
      guard sigwait(&signals, &number) == 0 else { return }
      PartialFiles.discardAll()
      pthread_sigmask(SIG_UNBLOCK, &signals, nil)
      raise(number)
    }
  }
}
