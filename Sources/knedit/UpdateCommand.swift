import ArgumentParser
import Editing
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

  @Option(
    help: "The editing method: paper, its fixed rewrite, or optimized, which moves the slots until the answer holds.")
  var method = "paper"

  @Option(help: "How much of the old answer's embedding is taken away.")
  var lambda1 = 1.0

  @Option(help: "How much of the new answer's embedding is added.")
  var lambda2 = 8.0

  @Option(help: "For optimized: the probability that the new answer shall reach on every prompt.")
  var confidence = OptimizedUpdate.Parameters().confidence

  @Option(help: "For optimized: how much it counts that neighbours stay as they are.")
  var neighbourWeight = OptimizedUpdate.Parameters().neighbourWeight

  @Option(help: "For optimized: prompts of other facts of the relation that shall stay as they are.")
  var neighbours = OptimizedUpdate.Parameters().sameRelation

  @Option(help: "For optimized: the size of a step.")
  var learningRate = OptimizedUpdate.Parameters().rate

  @Option(help: "For optimized: steps at most.")
  var iterations = OptimizedUpdate.Parameters().steps

  @OptionGroup var edit: EditOutputOptions
  @OptionGroup var options: LocateOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var printing: PrintOptions

  func validate() throws {
    guard UpdateMethod.names.contains(method) else {
      throw ValidationError("--method is one of \(UpdateMethod.names.joined(separator: ", ")).")
    }
    guard confidence > 0, confidence < 1 else { throw ValidationError("--confidence must lie between 0 and 1.") }
    guard neighbourWeight.isFinite, neighbourWeight >= 0 else {
      throw ValidationError("--neighbour-weight must not be negative.")
    }
    guard learningRate.isFinite, learningRate > 0, neighbours >= 0 else {
      throw ValidationError("--learning-rate must be positive and --neighbours not negative.")
    }
    guard (1...10_000).contains(iterations) else { throw ValidationError("--iterations must lie between 1 and 10000.") }
    guard lambda1.isFinite, lambda2.isFinite else {
      throw ValidationError("--lambda1 and --lambda2 are finite numbers.")
    }
  }

  private var chosenMethod: UpdateMethod {
    if method == "paper" { return .paper(lambda1: lambda1, lambda2: lambda2) }
    var parameters = OptimizedUpdate.Parameters()
    parameters.confidence = confidence
    parameters.neighbourWeight = neighbourWeight
    parameters.steps = iterations
    parameters.rate = learningRate
    parameters.sameRelation = neighbours
    return .optimized(parameters)
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
      fact: fact, newAnswer: to, ownPrompts: templates, method: chosenMethod)
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
