import ArgumentParser
import BERT
import Editing
import Evaluation
import Foundation
import Neurons
import Relations

struct UpdateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "update", abstract: "Give facts other answers, and write the patched checkpoint.",
    discussion: """
      First it shows what would change: the answers to every prompt, and how other facts fare. An update that misses \
      --min-success or --min-kept is not written, and the command exits with 1, unless --force is given.
      """)

  // Several of these are taken so that they can be refused: the last alone would count otherwise.
  @Option(help: "The relation, by name (P36) or label (capital).")
  var relation: [String] = []

  @Option(help: "The subject of the fact.")
  var subject: [String] = []

  @Option(help: "The new answer.")
  var to: [String] = []

  @Option(help: "The old answer, where the subject has several.")
  var from: [String] = []

  @Option(
    help: "A prompt of your own, with [X] and [Y] or a literal [MASK]; may be repeated. The first is judged first.")
  var prompt: [String] = []

  @Option(
    help: """
      In place of one fact: a JSON file with many, [{"relation": …, "subject": …, "from": …, "to": …}, …], from being \
      optional. Always by the method optimized.
      """)
  var edits: String?

  @Flag(help: "With --edits: edit one after another, and not all in one optimisation.")
  var oneByOne = false

  @Option(
    help: "optimized, which moves value slots until the answer holds, or paper, the fixed rewrite of Dai et al.")
  var method = EditRecord.Method.Name.optimized

  @Option(
    parsing: .unconditional, help: "For paper: how much of the old answer's embedding is taken away (default: 1).")
  var lambda1: Double?

  @Option(parsing: .unconditional, help: "For paper: how much of the new answer's embedding is added (default: 8).")
  var lambda2: Double?

  @OptionGroup var holding: HoldOutOptions
  @OptionGroup var limits: LimitOptions
  @OptionGroup var optimization: OptimizationOptions
  @OptionGroup var updating: UpdateOptimizationOptions
  @OptionGroup var edit: EditOutputOptions
  @OptionGroup var options: LocateOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var relations: RelationOptions
  @OptionGroup var printing: PrintOptions

  func validate() throws {
    let single = [("--relation", relation), ("--subject", subject), ("--to", to), ("--from", from)]
    if let twice = single.first(where: { $0.1.count > 1 }) {
      throw ValidationError(
        "\(twice.0) is given \(twice.1.count) times; one fact is updated at a time, or with --edits many.")
    }
    if edits == nil {
      guard !relation.isEmpty, !subject.isEmpty, !to.isEmpty else {
        throw ValidationError("Say what to change with --relation, --subject and --to, or with --edits FILE.")
      }
    } else {
      guard single.allSatisfy(\.1.isEmpty), prompt.isEmpty else {
        throw ValidationError("--edits names the facts; leave out --relation, --subject, --to, --from and --prompt.")
      }
      guard method == .optimized else { throw ValidationError("--edits goes with --method optimized only.") }
      guard edit.neurons == nil else { throw ValidationError("--edits locates for itself: leave out --neurons.") }
    }
    guard edits != nil || !oneByOne else { throw ValidationError("--one-by-one goes with --edits.") }
    try method.requireOwn(
      optimized: optimization.given + updating.given,
      paper: [lambda1.map { _ in "--lambda1" }, lambda2.map { _ in "--lambda2" }].compactMap { $0 })
    if edit.neurons != nil {
      try options.requireNoneBesideNeurons(optimization: optimization.given + updating.given)
    }
    guard optimization.form ?? .keyed == .keyed || updating.heeded == nil else {
      throw ValidationError("--heeded goes with --form keyed: other forms heed all neighbours.")
    }
    guard [lambda1, lambda2].allSatisfy({ $0?.isFinite ?? true }) else {
      throw ValidationError("--lambda1 and --lambda2 are finite numbers.")
    }
  }

  private func request(_ catalogue: RelationCatalogue, _ relation: Relation) throws -> EditRequest {
    let located = try edit.neurons.map {
      try LocatedRelations(contentsOf: URL(filePath: $0)).relation(relation.name)
    }
    return EditRequest(
      model: try model.openModel(quiet: printing.quiet), modelPath: try model.modelPath(), catalogue: catalogue,
      relationsPath: try relations.path(), relation: relation, located: located, method: options.method,
      order: edit.pieces, output: edit.outputDirectory, overwrite: edit.force, seed: edit.seed,
      tool: "knedit \(Knedit.version)", threads: model.threadCount, memory: options.memory.bytes)
  }

  private var optimized: SlotOptimization { updating.applied(to: optimization.applied(to: .update)) }

  func run() throws {
    let catalogue = try relations.open()
    if let edits { return try runBatch(EditList(contentsOf: edits), catalogue) }
    let relation = try catalogue.relation(named: relation.first ?? "")
    try holding.requireTemplates([relation])
    let fact = try relation.fact(subject: subject.first ?? "", answer: from.first)
    let templates = try prompt.map { try Template($0) }
    let update = FactUpdate(
      request: try request(catalogue, relation), fact: fact, newAnswer: to.first ?? "", ownPrompts: templates,
      method: method == .paper
        ? .paper(
          lambda1: lambda1 ?? PaperUpdate.published.lambda1, lambda2: lambda2 ?? PaperUpdate.published.lambda2)
        : .optimized(optimized),
      heldBack: holding.holdOut ?? (method == .paper ? 0 : 1))
    let progress = Progress("Locating (prompts)", total: update.prompts.count, quiet: printing.quiet)
    let plan = try update.plan { progress.update($0) }.judged(by: limits.limits(.update))
    if let said = plan.unexpectedAnswer, !printing.quiet {
      Console.note(
        "The model said “\(said)”, not “\(fact.answer)”, on the edited prompt; the method assumes it knows the fact.")
    }
    let effects = plan.evaluation.sideEffects
    if effects.sameRelation == nil, effects.otherRelations == nil, !printing.quiet {
      Console.note("There is no other fact to judge, so that --min-kept asks nothing of this edit.")
    }
    try edit.deliver(
      plan.record,
      report: "\(fact.subject): \(fact.answer) → \(update.newAnswer) (\(relation.name), \(relation.label))\n"
        + Report.neurons(plan.record.neurons) + "\n\n" + Report.update(plan.evaluation),
      printing: printing, write: { try update.write(plan) })
  }

  private func runBatch(_ list: EditList, _ catalogue: RelationCatalogue) throws {
    let changes = try list.changes(in: catalogue)
    guard let first = changes.first else { throw EditError.noEdits }
    try holding.requireTemplates(Set(changes.map(\.fact.relation)).sorted().map { try catalogue.relation(named: $0) })
    let update = try BatchUpdate(
      request: try request(catalogue, try catalogue.relation(named: first.fact.relation)), changes: changes,
      optimization: optimized, heldBack: holding.holdOut ?? 1, isSequential: oneByOne)
    let progress = Progress("Locating (prompts)", total: update.promptCount, quiet: printing.quiet)
    let plan = try update.plan { progress.update($0) }.judged(by: limits.limits(.update))
    try edit.deliver(
      plan.record, report: Report.batch(plan.evaluation),
      printing: printing, write: { try update.write(plan) })
  }
}
