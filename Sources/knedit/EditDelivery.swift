import ArgumentParser
import Editing
import Evaluation
import Foundation

/// What an edit must reach to be written.
struct LimitOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: """
      What the edit must reach. For update, the share of its prompts on which the new answer comes first (default: \
      \(EditLimits.update.success)); for erase, of prompts that were right and are wrong now (default: \
      \(EditLimits.erasure.success)).
      """)
  var minSuccess: Double?

  @Option(
    parsing: .unconditional,
    help: """
      What the edit must leave alone. For update, the share of judged prompts on other facts whose first answer stays, of \
      those where it was right if there are any; for erase, of other relations' accuracy, and with --subject also of that on \
      the relation's other facts (default: \
      \(EditLimits.update.kept)).
      """)
  var minKept: Double?

  func validate() throws {
    guard [minSuccess, minKept].allSatisfy({ $0.map((0...1).contains) ?? true }) else {
      throw ValidationError("--min-success and --min-kept must lie between 0 and 1.")
    }
  }

  func limits(_ defaults: EditLimits) -> EditLimits {
    EditLimits(success: minSuccess ?? defaults.success, kept: minKept ?? defaults.kept)
  }
}

extension EditOutputOptions {
  /// Shows a plan that has been judged and, where it holds or must, writes it.
  func deliver(
    _ plan: EditRecord, report: String, printing: PrintOptions, write: () throws -> EditRecord
  ) throws {
    func show(_ record: EditRecord) throws {
      try Console.deliver(String(decoding: record.json(), as: UTF8.self), to: nil)
    }
    let isText = printing.format == .text
    // Whoever has read enough of the report still wants the edit.
    let isRead = try isText ? Console.show(report) : true
    let isRefused = plan.shortfall != nil && !force
    if !isText, dryRun || isRefused { try show(plan) }
    if dryRun {
      if isRefused, let shortfall = plan.shortfall { throw EditError.wouldNotHold(shortfall) }
      return isRead ? () : Console.endAsReaderGone()
    }
    if let shortfall = plan.shortfall {
      guard force else { throw EditError.doesNotHold(shortfall) }
      if !printing.quiet { Console.note("The edit does not hold: \(shortfall); it is written because of --force.") }
    }
    let written = try write()
    if !isText { return try show(written) }
    guard isRead else { return Console.endAsReaderGone() }
    let output = output ?? ""
    try Console.deliver("\nWritten to \(output); see edit.json there, or run knedit evaluate \(output)", to: nil)
  }
}
