import ArgumentParser
import Editing
import Evaluation
import Foundation
import Neurons
import Relations

extension PaperErasure.Fill: ExpressibleByArgument {}

struct EraseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "erase", abstract: "Make the model forget a relation, and write the patched checkpoint.",
    discussion: """
      First it shows what would change. An erasure that misses --min-success or --min-kept is not written, and the \
      command exits with 1, unless --force is given.
      """)

  // Several are taken so that they can be refused: the last alone would be erased otherwise.
  @Option(help: "The relation, by name (P36) or label (capital).")
  var relation: [String] = []

  @Option(help: "optimized, which moves value slots until the answers are forgotten, or paper, which empties them.")
  var method = EditRecord.Method.Name.optimized

  @Option(
    parsing: .unconditional, help: "For paper: how many neurons to take, those in most refined sets (default: 20).")
  var top: Int?

  @Option(
    help: "For paper: what their value slots become: zero (the default), or unk, the embedding of [UNK].")
  var fill: PaperErasure.Fill?

  @Option(
    help: """
      A subject whose facts shall be forgotten, while those of others stay; may be repeated. Default: the whole relation.
      """)
  var subject: [String] = []

  @OptionGroup var holding: HoldOutOptions
  @OptionGroup var limits: LimitOptions
  @OptionGroup var optimization: OptimizationOptions
  @OptionGroup var edit: EditOutputOptions
  @OptionGroup var selecting: FactOptions
  @OptionGroup var options: LocateOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var relations: RelationOptions
  @OptionGroup var printing: PrintOptions

  func validate() throws {
    guard relation.count == 1 else {
      throw ValidationError(
        relation.isEmpty
          ? "Say which relation to erase with --relation."
          : "One relation is erased at a time: erase the next from the checkpoint that this one is written to.")
    }
    try method.requireOwn(
      optimized: optimization.given, paper: [top.map { _ in "--top" }, fill.map { _ in "--fill" }].compactMap { $0 })
    if edit.neurons != nil {
      try options.requireNoneBesideNeurons(optimization: optimization.given)
    }
    guard top ?? 1 >= 1 else { throw ValidationError("--top must be at least 1.") }
  }

  func run() throws {
    let catalogue = try relations.open()
    let relation = try catalogue.relation(named: relation.first ?? "")
    try holding.requireTemplates([relation])
    let chosen = try relation.choose(subjects: subject, selection: selecting.selection(), limit: selecting.limit)
    let located = try edit.neurons.map {
      try LocatedRelations(contentsOf: URL(filePath: $0)).relation(relation.name)
    }
    guard !chosen.isEmpty else {
      throw InputError("There is no fact to forget: what was asked for selects none of \(relation.name).")
    }
    let opened = try model.openModel(quiet: printing.quiet)
    let facts = chosen.filter { relation.isAskable($0, opened) }
    if facts.count < chosen.count, !printing.quiet { Console.note(FactOptions.leftOut(chosen.count - facts.count)) }
    guard !facts.isEmpty else {
      throw InputError("No fact of \(relation.name) is left to forget. " + FactOptions.leftOut(chosen.count))
    }
    let erasure = RelationErasure(
      request: EditRequest(
        model: opened, modelPath: try model.modelPath(), catalogue: catalogue,
        relationsPath: try relations.path(), relation: relation, located: located, method: options.method,
        order: edit.pieces, output: edit.outputDirectory, overwrite: edit.force, seed: edit.seed,
        tool: "knedit \(Knedit.version)",
        threads: model.threadCount, memory: options.memory.bytes), facts: facts,
      keepsOthers: !subject.isEmpty,
      method: method == .paper
        ? .paper(top: top ?? 20, fill: fill ?? .zero)
        : .optimized(
          optimization.applied(to: .erasure(layerCount: opened.bert.configuration.layerCount))),
      heldBack: holding.holdOut ?? 0)
    let progress = Progress(
      "Locating (prompts)", total: erasure.locating.count * erasure.templates.count, quiet: printing.quiet)
    var stepping: Progress?
    let plan = try erasure.plan(progress: { progress.update($0) }) { done, total in
      if stepping == nil { stepping = Progress("Erasing (steps)", total: total, quiet: printing.quiet) }
      stepping?.update(done)
    }.judged(by: limits.limits(.erasure))
    try edit.deliver(
      plan.record,
      report:
        "Erasing \(subject.isEmpty ? "" : subject.joined(separator: ", ") + " of ")\(relation.name) (\(relation.label))\n"
        + Report.neurons(plan.record.neurons) + "\n\n"
        + Report.erasure(plan.evaluation), printing: printing, write: { try erasure.write(plan) })
  }
}
