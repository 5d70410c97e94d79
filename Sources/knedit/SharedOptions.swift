import ArgumentParser
import Attribution
import BERT
import Checkpoint
import Editing
import Foundation
import Kernels
import Neurons
import Relations

/// How results are printed.
enum ResultFormat: String, ExpressibleByArgument, CaseIterable {
  case text, json
}

/// Where the relations come from.
struct RelationOptions: ParsableArguments {
  @Option(help: "A directory of relations in PARAREL's layout. Default: the bundled demo's.")
  var relations: String?

  /// The files that the relations of a directory are read from.
  static func files(in directory: String) -> [String] {
    let patterns = directory + "/patterns"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: patterns)) ?? []
    return [directory + "/facts.json", directory + "/labels.json"] + names.map { patterns + "/" + $0 }
  }

  func path() throws -> String { try relations ?? DemoCheckpoint.path(insteadOf: "--relations") + "/relations" }

  func open() throws -> RelationCatalogue { try RelationCatalogue(directory: URL(filePath: path())) }
}

/// Where the model comes from, and how many threads it may use.
struct ModelOptions: ParsableArguments {
  @Option(help: "A model directory, or its tf_model.h5 or model.safetensors. Default: the bundled demo.")
  var model: String?

  @Option(help: "Threads to use. Default: all cores.")
  var threads: Int?

  func validate() throws {
    if let threads, threads < 1 { throw ValidationError("--threads must be at least 1.") }
  }

  var threadCount: ThreadCount { threads.map(ThreadCount.init) ?? .allCores }

  func modelPath() throws -> String { try model ?? DemoCheckpoint.path(insteadOf: "--model") }

  /// Opens the model and says on standard error, unless `quiet`, what of its directory is not read.
  func openModel(quiet: Bool) throws -> MaskedLanguageModel {
    let path = try modelPath()
    let model = try MaskedLanguageModel(opening: URL(filePath: path))
    let isFile = path.hasSuffix(model.checkpoint.weightsFile.lastPathComponent)
    for other in model.checkpoint.otherWeights where !quiet && !isFile {
      Console.note(
        "Reading \(model.checkpoint.weightsFile.lastPathComponent); \(other.lastPathComponent) beside it is not read "
          + "(to use it, pass its path to --model).")
    }
    return model
  }
}

/// How results are printed and how much is said meanwhile.
struct PrintOptions: ParsableArguments {
  @Option(help: "text for people, json for programs.")
  var format: ResultFormat = .text

  @Flag(help: "No progress and no notes on standard error.")
  var quiet = false
}

/// A file that takes the results in place of standard output.
struct ResultFileOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "Write the results to this file in place of standard output.")
  var output: String?

  /// Refuses, before any work is done, a file that cannot be written, that may be part of a model, or that is one of the
  /// command's other files.
  func check(others: [String?] = []) throws {
    if let output { try Self.requireFree(output, others: others) }
  }

  /// The same for a result by any option.
  static func requireFree(_ path: String, others: [String?]) throws {
    let place = URL(filePath: path).resolvingSymlinksInPath()
    try Checkpoint.requireNoPart(place)
    if others.contains(where: { $0.map { URL(filePath: $0).resolvingSymlinksInPath() } == place }) {
      throw InputError("\(path) is another file of this command; write the result to one of its own.")
    }
    let files = FileManager.default
    var isDirectory: ObjCBool = false
    if files.fileExists(atPath: place.path, isDirectory: &isDirectory) {
      if isDirectory.boolValue { throw InputError("\(path) is a directory; name a file for the result.") }
      // A terminal or a pipe is written to as it is.
      if (try? files.attributesOfItem(atPath: place.path)[.type] as? FileAttributeType) != .typeRegular { return }
    }
    guard files.isWritableFile(atPath: place.deletingLastPathComponent().path) else {
      throw Console.OutputError(path: path)
    }
  }
}

/// Which facts of a relation are meant.
struct FactOptions: ParsableArguments {
  @Option(help: "A file {relation: [index into facts.json, …]} that selects facts.")
  var facts: String?

  @Option(help: "At most so many facts of a relation, from the first on.")
  var limit: Int?

  func validate() throws {
    if let limit, limit < 1 { throw ValidationError("--limit must be at least 1.") }
  }

  func selection() throws -> FactSelection? {
    try facts.map { try FactSelection(contentsOf: URL(filePath: $0)) }
  }
}

/// How neurons are located.
struct LocateOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "How the integral is taken: \(AttributionRule.names.joined(separator: ", ")). "
        + "Default: adaptive, or with --steps the paper's sum, riemann."))
  var rule: String?

  @Option(
    help:
      "Points on the path, for the rules that take a number of them. Default: \(AttributionRule.publishedSteps), as in the paper."
  )
  var steps: Int?

  @Flag(help: "Locate by activation alone, the paper's baseline.")
  var baseline = false

  @OptionGroup var memory: MemoryOptions

  /// Numbers of points that a rule may be given.
  static let pointCounts = 1...10_000

  func validate() throws {
    guard rule.map(AttributionRule.names.contains) ?? true else {
      throw ValidationError("--rule is one of \(AttributionRule.names.joined(separator: ", ")).")
    }
    guard steps.map(Self.pointCounts.contains) ?? true else {
      throw ValidationError("--steps must lie between 1 and 10000.")
    }
    guard steps == nil || rule != AttributionRule.adaptive.name else {
      throw ValidationError("--rule adaptive chooses its points itself; leave --steps out, or name another rule.")
    }
    if baseline, let option = given.first {
      throw ValidationError("--baseline takes no integral: leave out \(option).")
    }
  }

  /// Those given that say how the integral is taken.
  private var given: [String] { [rule.map { _ in "--rule" }, steps.map { _ in "--steps" }].compactMap { $0 } }

  /// Refuses what means nothing where neurons are given, among `optimization`, the options of an optimised edit, too.
  func requireNoneBesideNeurons(optimization: [String]) throws {
    let choosing = optimization.first { ["--layers", "--subject-layers"].contains($0) }
    if let option = given.first ?? (baseline ? "--baseline" : nil) ?? choosing {
      throw ValidationError("--neurons says which neurons to take, so that none are located: leave out \(option).")
    }
  }

  var method: LocatingMethod {
    if baseline { return .baseline }
    let name = rule ?? (steps == nil ? AttributionRule.adaptive : .riemann(steps: AttributionRule.publishedSteps)).name
    return .attribution(AttributionRule(name: name, steps: steps ?? AttributionRule.publishedSteps) ?? .adaptive)
  }
}

/// How much memory locating may take.
struct MemoryOptions: ParsableArguments {
  @Option(
    help:
      """
      Megabytes that locating may take beside the weights and, for prompts of up to 128 pieces, their bfloat16 copy; one \
      prompt's least, some 350 for 512 pieces of a model of bert-base's size, is taken anyhow.
      """)
  var memory = 1024

  func validate() throws {
    guard (1...(1 << 20)).contains(memory) else {
      throw ValidationError("--memory must lie between 1 and \(1 << 20) (megabytes).")
    }
  }

  var bytes: Int { memory << 20 }
}

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

  @Option(help: "Seed of every random choice.")
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

/// The help of an option of optimised edits: what it is, and what it is where it is not given.
///
/// - Parameter erasure: The default of erasures, where they have one.
private func help<Value>(
  _ text: String, _ value: KeyPath<SlotOptimization, Value>, erasure: String? = nil, valueName: String? = nil
) -> ArgumentHelp {
  let update = SlotOptimization.update[keyPath: value]
  return ArgumentHelp(
    "For optimized: \(text) (default: \(update)\(erasure.map { " for update, \($0) for erase" } ?? ""))",
    valueName: valueName)
}

/// The default of erasures.
private func ofErasure<Value>(_ value: KeyPath<SlotOptimization, Value>) -> String {
  "\(SlotOptimization.erasure(layerCount: 1)[keyPath: value])"
}

/// What steers optimised value slots, in updates and erasures; what is not given is the edit's default.
struct OptimizationOptions: ParsableArguments {
  @Option(
    help: help(
      "value slots at most, for each fact of an update or for an erasure.", \.slots, erasure: ofErasure(\.slots)))
  var slots: Int?

  @Option(help: help("how many of the upper layers neurons are taken from.", \.layers, erasure: "two thirds"))
  var layers: Int?

  @Option(
    help: help(
      "how much it counts that neighbours stay as they are; in an erasure more and more while the relation is forgotten.",
      \.neighbourWeight, erasure: ofErasure(\.neighbourWeight)))
  var neighbourWeight: Double?

  @Option(
    help: help(
      "prompts of other relations that shall stay as they are.", \.otherRelations, erasure: ofErasure(\.otherRelations))
  )
  var otherNeighbours: Int?

  @Option(help: help("the size of the first step; it falls to zero.", \.rate, erasure: ofErasure(\.rate)))
  var learningRate: Double?

  @Option(
    help: help(
      "steps at most; an update takes them for each word piece of its answer.", \.steps, erasure: ofErasure(\.steps)))
  var iterations: Int?

  @Option(
    help: help(
      """
      what it varies. keyed: one value for each question and layer, which the chosen neurons write together when it is \
      asked; free: every slot by itself.
      """, \.form, erasure: ofErasure(\.form)))
  var form: ChangeForm?

  @Option(
    help: help(
      """
      which word pieces of a prompt follow the change while it is sought. edited: [MASK] and the subject's last one, and \
      in the last quarter of the steps all; all: all from the first step on, which takes longer.
      """, \.following, erasure: ofErasure(\.following)))
  var follow: FollowedPieces?

  func validate() throws {
    if let slots, slots < 1 { throw ValidationError("--slots must be at least 1.") }
    if let layers, layers < 1 { throw ValidationError("--layers must be at least 1.") }
    if let neighbourWeight, !(neighbourWeight.isFinite && neighbourWeight >= 0) {
      throw ValidationError("--neighbour-weight must be a finite number, and not negative.")
    }
    if let learningRate, !(learningRate.isFinite && learningRate > 0) {
      throw ValidationError("--learning-rate must be positive.")
    }
    try requireCounted([("--other-neighbours", otherNeighbours)])
    if let iterations, !(1...10_000).contains(iterations) {
      throw ValidationError("--iterations must lie between 1 and 10000.")
    }
  }

  /// The names of those given.
  var given: [String] {
    let options: [(String, Bool)] = [
      ("--slots", slots != nil), ("--layers", layers != nil), ("--neighbour-weight", neighbourWeight != nil),
      ("--other-neighbours", otherNeighbours != nil), ("--learning-rate", learningRate != nil),
      ("--iterations", iterations != nil), ("--form", form != nil), ("--follow", follow != nil),
    ]
    return options.filter(\.1).map(\.0)
  }

  /// `defaults` but for what is given.
  func applied(to defaults: SlotOptimization) -> SlotOptimization {
    var result = defaults
    result.slots = slots ?? defaults.slots
    result.layers = layers ?? defaults.layers
    result.steps = iterations ?? defaults.steps
    result.rate = learningRate ?? defaults.rate
    result.neighbourWeight = neighbourWeight ?? defaults.neighbourWeight
    result.otherRelations = otherNeighbours ?? defaults.otherRelations
    result.form = form ?? defaults.form
    result.following = follow ?? defaults.following
    return result
  }
}

/// What steers optimised value slots in updates only.
struct UpdateOptimizationOptions: ParsableArguments {
  @Option(
    help: help(
      "the layers of which neurons that fire for the subject are moved too: middle, none or numbers, as 2,3.",
      \.subjectLayers.rawValue, valueName: "layers"))
  var subjectLayers: SubjectLayers?

  @Option(help: help("the probability that the new answer shall reach on every prompt.", \.confidence))
  var confidence: Double?

  @Option(help: help("prompts of other facts of the relation that shall stay as they are.", \.sameRelation))
  var neighbours: Int?

  @Option(
    help: help("prompts of other relations about the edited subject that shall stay as they are.", \.sameSubject))
  var subjectNeighbours: Int?

  @Option(
    help: help(
      "prompts about the edited subject in relations without a fact about it that shall stay as they are.", \.unlisted))
  var unlistedNeighbours: Int?

  @Option(
    help: help(
      "how many of the neighbours each step runs where it varies keys, those that the edit moves most first.", \.heeded)
  )
  var heeded: Int?

  func validate() throws {
    if let confidence, !(confidence > 0 && confidence < 1) {
      throw ValidationError("--confidence must be more than 0 and less than 1.")
    }
    try requireCounted([
      ("--neighbours", neighbours), ("--subject-neighbours", subjectNeighbours),
      ("--unlisted-neighbours", unlistedNeighbours), ("--heeded", heeded),
    ])
  }

  /// The names of those given.
  var given: [String] {
    let options: [(String, Bool)] = [
      ("--subject-layers", subjectLayers != nil), ("--confidence", confidence != nil),
      ("--neighbours", neighbours != nil), ("--subject-neighbours", subjectNeighbours != nil),
      ("--unlisted-neighbours", unlistedNeighbours != nil), ("--heeded", heeded != nil),
    ]
    return options.filter(\.1).map(\.0)
  }

  /// `defaults` but for what is given.
  func applied(to defaults: SlotOptimization) -> SlotOptimization {
    var result = defaults
    result.subjectLayers = subjectLayers ?? defaults.subjectLayers
    result.confidence = confidence ?? defaults.confidence
    result.sameRelation = neighbours ?? defaults.sameRelation
    result.sameSubject = subjectNeighbours ?? defaults.sameSubject
    result.unlisted = unlistedNeighbours ?? defaults.unlisted
    result.heeded = heeded ?? defaults.heeded
    return result
  }
}

/// Refuses numbers of neighbours that no catalogue has.
private func requireCounted(_ options: [(name: String, count: Int?)]) throws {
  for (name, count) in options where !(0...SlotOptimization.mostCounted).contains(count ?? 0) {
    throw ValidationError("\(name) must lie between 0 and \(SlotOptimization.mostCounted).")
  }
}

extension AnswerOrder: ExpressibleByArgument {}

extension ChangeForm: ExpressibleByArgument {}

extension FollowedPieces: ExpressibleByArgument {}

extension SubjectLayers: ExpressibleByArgument {}

extension EditRecord.Method.Name: ExpressibleByArgument {
  /// Refuses options of the other method.
  ///
  /// - Parameters:
  ///   - optimized: The names of those of `optimized` that were given.
  ///   - paper: The names of those of `paper` that were given.
  func requireOwn(optimized: [String], paper: [String]) throws {
    let (other, foreign) = self == .paper ? (Self.optimized, optimized) : (.paper, paper)
    if let option = foreign.first {
      throw ValidationError("\(option) goes with --method \(other.rawValue); leave it out, or name that method.")
    }
  }
}
