import ArgumentParser
import Checkpoint
import Dispatch
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
        knedit predict "The capital of Ireland is [MASK]."
      """,
    version: version,
    subcommands: [
      InspectCommand.self, PredictCommand.self, LocateCommand.self, UpdateCommand.self, EraseCommand.self,
      DiffCommand.self, EvaluateCommand.self, BenchCommand.self,
    ])

  static func main() {
    waitBrieflyInProducts()
    let signals = discardingPartialFiles()
    defer { withExtendedLifetime(signals) {} }
    do {
      var command = try parseAsRoot()
      do { try command.run() } catch { throw AdvisedError.advising(on: error) }
    } catch { exit(withError: error) }
  }

  /// Ends the process as a signal asks, but without leaving half-written files behind.
  ///
  /// A signal that is ignored from the start, as `nohup` has it, stays so.
  private static func discardingPartialFiles() -> [any DispatchSourceSignal] {
    // Writing to a pipe that nobody reads is an error then, which says where it happened.
    signal(SIGPIPE, SIG_IGN)
    let ignored = unsafeBitCast(SIG_IGN, to: Int.self)
    return [SIGINT, SIGTERM, SIGHUP].compactMap { number in
      if unsafeBitCast(signal(number, SIG_IGN), to: Int.self) == ignored { return nil }
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global(qos: .userInitiated))
      source.setEventHandler {
        PartialFiles.discardAll()
        signal(number, SIG_DFL)
        kill(getpid(), number)
      }
      source.resume()
      return source
    }
  }
}
