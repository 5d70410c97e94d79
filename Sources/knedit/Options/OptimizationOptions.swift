import ArgumentParser
import BERT
import Editing

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
    parsing: .unconditional,
    help: help(
      "value slots at most, for each fact of an update or for an erasure.", \.slots, erasure: ofErasure(\.slots)))
  var slots: Int?

  @Option(
    parsing: .unconditional,
    help: help("how many of the upper layers neurons are taken from.", \.layers, erasure: "two thirds"))
  var layers: Int?

  @Option(
    parsing: .unconditional,
    help: help(
      "how much it counts that neighbours stay as they are; in an erasure more and more while the relation is forgotten.",
      \.neighbourWeight, erasure: ofErasure(\.neighbourWeight)))
  var neighbourWeight: Double?

  @Option(
    parsing: .unconditional,
    help: help(
      "prompts of other relations that shall stay as they are; of an erasure's, each step runs some in turn.",
      \.otherRelations, erasure: ofErasure(\.otherRelations))
  )
  var otherNeighbours: Int?

  @Option(
    parsing: .unconditional,
    help: help("the size of the first step; it falls to zero.", \.rate, erasure: ofErasure(\.rate)))
  var learningRate: Double?

  @Option(
    parsing: .unconditional,
    help: help(
      """
      steps. An update takes them for each word piece of its answer, more for several facts, and four times as many for an \
      answer that the model knows nothing of.
      """, \.steps, erasure: ofErasure(\.steps)))
  var iterations: Int?

  @Option(
    parsing: .unconditional,
    help: help(
      """
      prompts about each fact with one word left out that the edit asks too, so that it holds in unseen wordings; of several \
      facts of an update together at most 400.
      """, \.shortened, erasure: ofErasure(\.shortened)))
  var shortenedPrompts: Int?

  @Option(
    help: help(
      """
      what it varies. keyed: one value for each question and layer, which the chosen neurons write together when it is \
      asked; free: every slot by itself; whitened: as many combinations of slots, which neighbours excite alike.
      """, \.form, erasure: ofErasure(\.form)))
  var form: ChangeForm?

  @Option(
    help: help(
      """
      which word pieces of a prompt follow the change while it is sought. edited: [MASK] and the subject's last one, and \
      in the last quarter of the steps all; all: all from the first step on, which takes longer. With edited an erasure has \
      1500 neighbours and 600 prompts unless told otherwise, all in each step.
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
    try requireCounted([("--other-neighbours", otherNeighbours), ("--shortened-prompts", shortenedPrompts)])
    if let iterations, !(1...10_000).contains(iterations) {
      throw ValidationError("--iterations must lie between 1 and 10000.")
    }
  }

  /// The names of those given.
  var given: [String] {
    let options: [(String, Bool)] = [
      ("--slots", slots != nil), ("--layers", layers != nil), ("--neighbour-weight", neighbourWeight != nil),
      ("--other-neighbours", otherNeighbours != nil), ("--learning-rate", learningRate != nil),
      ("--iterations", iterations != nil), ("--shortened-prompts", shortenedPrompts != nil), ("--form", form != nil),
      ("--follow", follow != nil),
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
    result.shortened = shortenedPrompts ?? defaults.shortened
    result.form = form ?? defaults.form
    result.following = follow ?? defaults.following
    if result.following == .edited, let inTurn = defaults.neighboursPerStep {
      // There are no turns then, and what all of an erasure's prompts need at once would not fit a laptop.
      result.otherRelations = otherNeighbours ?? inTurn
      result.erasedPrompts = defaults.erasedPromptsPerStep
    }
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

  @Option(
    parsing: .unconditional,
    help: help("the probability that the new answer shall reach on every prompt.", \.confidence))
  var confidence: Double?

  @Option(
    parsing: .unconditional,
    help: help("prompts of other facts of the relation that shall stay as they are.", \.sameRelation))
  var neighbours: Int?

  @Option(
    parsing: .unconditional,
    help: help("prompts of other relations about the edited subject that shall stay as they are.", \.sameSubject))
  var subjectNeighbours: Int?

  @Option(
    parsing: .unconditional,
    help: help(
      "prompts about the edited subject in relations without a fact about it that shall stay as they are.", \.unlisted))
  var unlistedNeighbours: Int?

  @Option(
    parsing: .unconditional,
    help: help(
      """
      how many of the neighbours about other subjects each step runs where it varies keys: two thirds those that the edit \
      moves most, the rest an even choice.
      """, \.heeded)
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
