import ArgumentParser

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
    do {
      var command = try parseAsRoot()
      do { try command.run() } catch let error as ExitCode { throw error } catch let error as ValidationError {
        throw error
      } catch { throw AdvisedError(error) }
    } catch { exit(withError: error) }
  }
}
