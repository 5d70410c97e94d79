import ArgumentParser
import BERT
import Foundation

/// Where an edit goes.
struct EditOutputOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "The directory to write the patched checkpoint and its record to.")
  var output: String?

  @Flag(help: "Show what the edit would do, and write nothing.")
  var dryRun = false

  @Flag(help: "Replace what an earlier edit wrote to the output directory, and write an edit that does not hold.")
  var force = false

  @Option(help: "A file that locate --format json wrote, in place of locating now.")
  var neurons: String?

  @Option(parsing: .unconditional, help: "Seed of every random choice, a whole number from 0 on.")
  var seed: UInt64 = 0

  @Option(help: "How answers of several word pieces are asked for: left-to-right or together.")
  var pieces = AnswerOrder.leftToRight

  func validate() throws {
    guard output?.isEmpty == false || dryRun else {
      throw ValidationError("Say where to write with --output, or only look with --dry-run.")
    }
  }

  var outputDirectory: URL? { dryRun ? nil : output.map { URL(filePath: $0) } }
}

extension AnswerOrder: ExpressibleByArgument {}
