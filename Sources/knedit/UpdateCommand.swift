import ArgumentParser
import Evaluation
import Foundation
import Neurons
import Relations

struct UpdateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Give a fact another answer, and write the patched checkpoint.")

  @Option(help: "The relation, by name (P36) or label (capital).")
  var relation: String

  @Option(help: "The subject of the fact.")
  var subject: String

  @Option(help: "The new answer, one word piece of the model.")
  var to: String

  @Option(help: "The old answer, where the subject has several.")
  var from: String?

  @Option(
    help: "A prompt of your own, with [X] and [Y] or a literal [MASK]; may be repeated. The first is judged first.")
  var prompt: [String] = []

  @Option(help: "The editing method: paper.")
  var method = "paper"

  @Option(help: "How much of the old answer's embedding is taken away.")
  var lambda1 = 1.0

  @Option(help: "How much of the new answer's embedding is added.")
  var lambda2 = 8.0

  @OptionGroup var edit: EditOutputOptions
  @OptionGroup var options: LocateOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var printing: PrintOptions

  func validate() throws {
    guard method == "paper" else { throw ValidationError("--method is paper; there is no other yet.") }
    guard lambda1.isFinite, lambda2.isFinite else {
      throw ValidationError("--lambda1 and --lambda2 are finite numbers.")
    }
  }

  func run() throws {
    let catalogue = try model.openRelations()
    let relation = try catalogue.relation(named: relation)
    let fact = try relation.fact(subject: subject, answer: from)
    let templates = try prompt.map { try Template($0) }
    let located = try edit.neurons.map {
      try LocatedRelations(contentsOf: URL(filePath: $0)).relation(relation.name)
    }
    let update = FactUpdate(
      request: EditRequest(
        model: try model.openModel(quiet: printing.quiet), modelPath: try model.modelPath(), catalogue: catalogue,
        relationsPath: try model.relationsPath(), relation: relation, located: located, method: options.method,
        output: URL(filePath: edit.output), overwrite: edit.force, seed: edit.seed, tool: "knedit \(Knedit.version)",
        threads: model.threadCount, memory: options.memoryBytes),
      fact: fact, newAnswer: to, ownPrompts: templates, lambda1: lambda1, lambda2: lambda2)
    let progress = Progress("Locating (prompts)", total: update.prompts.count, quiet: printing.quiet)
    let outcome = try update.carryOut { progress.update($0) }
    if let said = outcome.unexpectedAnswer, !printing.quiet {
      Console.note(
        "The model said “\(said)”, not “\(fact.answer)”, on the edited prompt; the method assumes it knows the fact.")
    }
    if printing.format == .json {
      return try Console.deliver(String(decoding: outcome.record.json(), as: UTF8.self), to: nil)
    }
    try Console.deliver(
      "\(fact.subject): \(fact.answer) → \(to) (\(relation.name), \(relation.label))\n"
        + Report.neurons(outcome.record.neurons) + "\n\n" + Report.update(outcome.evaluation)
        + "\n\nWritten to \(edit.output); see edit.json there, or run knedit evaluate \(edit.output)", to: nil)
  }
}
