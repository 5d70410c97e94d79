import BERT
import Checkpoint
import Foundation
import Kernels
import Neurons

/// The layers below the upper ones in which an edit also moves neurons that fire for the subject.
public enum SubjectLayers: Sendable, Hashable, Codable, RawRepresentable {
  /// The model's middle: two layers, or one where their number is odd.
  case middle
  /// These, from 0, in order.
  case numbers([Int])
  /// None.
  case absent

  /// `middle`, `none`, or numbers with commas between them.
  public init?(rawValue: String) {
    switch rawValue {
    case "middle": self = .middle
    case "none": self = .absent
    default:
      let parts = rawValue.split(separator: ",", omittingEmptySubsequences: false)
      let numbers = Set(parts.compactMap { Int($0.trimmingCharacters(in: .whitespaces)) }).sorted()
      guard numbers.count == parts.count, numbers[0] >= 0 else { return nil }
      self = .numbers(numbers)
    }
  }

  /// As ``init(rawValue:)`` takes it.
  public var rawValue: String {
    switch self {
    case .middle: "middle"
    case .numbers(let numbers): numbers.map(String.init).joined(separator: ",")
    case .absent: "none"
    }
  }
}

/// When an erased answer counts as forgotten.
public enum Forgetting: String, Sendable, Hashable, Codable {
  /// At half of an even share among the relation's answers, as erasures were made at first. It may still be the likeliest of
  /// them, where all of them are brought down to noise.
  case evenShare
  /// When it is about as likely as the relation's other answers are on the whole, so that they do not tell it apart.
  case amid
}

/// How value slots are optimised; kept in the record.
public struct SlotOptimization: Sendable, Hashable, Codable {
  /// Value slots at most, for each fact of an update and for a whole erasure.
  public var slots: Int
  /// How many of the upper layers neurons are taken from, by what they do at `[MASK]`.
  public var layers: Int
  /// The layers in which neurons are taken by what they do at the subject.
  public var subjectLayers: SubjectLayers
  /// P to reach on every prompt of an update.
  public var confidence: Double
  /// Steps at most.
  public var steps: Int
  /// Adam's first step size; it falls evenly to zero.
  public var rate: Double
  /// What a step takes back of the changes so far, as a share and times the size of the step.
  public var shrinkage: Double
  /// Weight of the neighbours' divergence.
  public var neighbourWeight: Double
  /// What that weight of an erasure grows to at most, where the relation is forgotten; nil where it stays as it is.
  public var largestNeighbourWeight: Double?
  /// When an answer counts as forgotten.
  public var forgetting: Forgetting
  /// What the relation's answers keep together of P at least, where one ends amid the others; nil for nothing.
  public var answersTogether: Double?
  /// An erasure has forgotten its relation when its ``SlotGradients/shareSaid`` is at most this, or ``overChance`` times what
  /// chance would make it; nil for ``forgottenShareBefore``.
  public var forgottenShare: Double?
  /// How many times what chance says an erasure may say, where that is more than ``forgottenShare``; nil for
  /// ``overChanceBefore``.
  ///
  /// Of few answers each is often the likeliest.
  public var overChance: Double?
  /// Prompts of the relation's other facts that are neighbours, one a fact; an erasure has none.
  public var sameRelation: Int
  /// Prompts of other relations' facts that are neighbours: of an update one a fact, of an erasure as many as there are
  /// templates at most.
  public var otherRelations: Int
  /// Prompts of an erased relation that the erasure asks, at most; nil for ``erasedPromptsBefore``.
  public var erasedPrompts: Int?
  /// Of these, how many each step runs, others every time until all have had their turn; nil for all in every step.
  public var erasedPromptsPerStep: Int?
  /// Of an erasure's neighbours, about how many each step runs, others every time until all have had their turn; nil for all
  /// in every step.
  public var neighboursPerStep: Int?
  /// Prompts about the edited subject that are neighbours, of other relations that have facts about it.
  public var sameSubject: Int
  /// Prompts about the edited subject that are neighbours, of relations that have no facts about it.
  public var unlisted: Int
  /// Of each fact, prompts with one word left out that the edit asks besides its own; what follows there follows in wordings
  /// that it has not seen.
  public var shortened: Int
  /// Whether neighbours of an update weigh less and less from half of the steps on, as long as it does not say its answers.
  public var insists: Bool
  /// Of all neighbours about other subjects, how many a keyed optimisation runs; see ``OptimizedUpdate``.
  public var heeded: Int
  /// What the optimisation varies.
  public var form: ChangeForm
  /// Whether an erasure's neighbours keep the right answer's P besides, which divergence hardly sees where it is small.
  public var keepsAnswers: Bool
  /// How fast an erasure pulls up the answers of another relation that fall on the mean, see ``RelationPull``; nil where it does
  /// not.
  public var pullRate: Double?
  /// Which word pieces of each prompt follow the change in all but the last quarter of the steps.
  public var following: FollowedPieces

  /// The defaults of an update, chosen on the measurements in Benchmarks/editing.md.
  public static let update = SlotOptimization(
    slots: 32, layers: 1, subjectLayers: .middle, confidence: 0.99, steps: 40, rate: 0.06, neighbourWeight: 100,
    sameRelation: 100, otherRelations: 350, sameSubject: 24, shortened: 4, insists: true, heeded: 48,
    form: .keyed)

  /// The defaults of an erasure in a model with so many layers, of which it edits the upper two thirds.
  public static func erasure(layerCount: Int) -> SlotOptimization {
    SlotOptimization(
      slots: 256, layers: max(1, (2 * layerCount + 1) / 3), subjectLayers: .absent, confidence: 0.9, steps: 300,
      rate: 0.03, shrinkage: 0.3, neighbourWeight: 20, largestNeighbourWeight: 4000, forgetting: .amid,
      answersTogether: 0.02, forgottenShare: 0.04, overChance: 1,
      sameRelation: 0, otherRelations: 36000, erasedPrompts: 4800, erasedPromptsPerStep: 600, neighboursPerStep: 1500,
      heeded: 1500, form: .whitened, keepsAnswers: true, pullRate: 0.03, following: .all)
  }

  /// All of it.
  public init(
    slots: Int, layers: Int, subjectLayers: SubjectLayers = .absent, confidence: Double, steps: Int, rate: Double,
    shrinkage: Double = 0, neighbourWeight: Double, largestNeighbourWeight: Double? = nil,
    forgetting: Forgetting = .evenShare, answersTogether: Double? = nil, forgottenShare: Double? = nil,
    overChance: Double? = nil,
    sameRelation: Int, otherRelations: Int,
    erasedPrompts: Int? = nil,
    erasedPromptsPerStep: Int? = nil,
    neighboursPerStep: Int? = nil, sameSubject: Int = 0,
    unlisted: Int = 0,
    shortened: Int = 0, insists: Bool = false, heeded: Int = 48, form: ChangeForm, keepsAnswers: Bool = false,
    pullRate: Double? = nil,
    following: FollowedPieces = .edited
  ) {
    self.slots = slots
    self.layers = layers
    self.subjectLayers = subjectLayers
    self.confidence = confidence
    self.steps = steps
    self.rate = rate
    self.shrinkage = shrinkage
    self.neighbourWeight = neighbourWeight
    self.largestNeighbourWeight = largestNeighbourWeight
    self.forgetting = forgetting
    self.answersTogether = answersTogether
    self.forgottenShare = forgottenShare
    self.overChance = overChance
    self.sameRelation = sameRelation
    self.otherRelations = otherRelations
    self.erasedPrompts = erasedPrompts
    self.erasedPromptsPerStep = erasedPromptsPerStep
    self.neighboursPerStep = neighboursPerStep
    self.sameSubject = sameSubject
    self.unlisted = unlisted
    self.shortened = shortened
    self.insists = insists
    self.heeded = heeded
    self.form = form
    self.keepsAnswers = keepsAnswers
    self.pullRate = pullRate
    self.following = following
  }

  /// Names in records of before there could be several; of `middle`, the neurons tell which layer it was.
  private enum EarlierKeys: String, CodingKey { case subjectLayer }

  /// From a record; one that was written before a parameter was thought of means what was done then.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    slots = try fields.decode(Int.self, forKey: .slots)
    layers = try fields.decode(Int.self, forKey: .layers)
    let earlier = try decoder.container(keyedBy: EarlierKeys.self)
    subjectLayers =
      try fields.decodeIfPresent(SubjectLayers.self, forKey: .subjectLayers)
      ?? earlier.decodeIfPresent(SubjectLayers.self, forKey: .subjectLayer) ?? .absent
    confidence = try fields.decode(Double.self, forKey: .confidence)
    steps = try fields.decode(Int.self, forKey: .steps)
    rate = try fields.decode(Double.self, forKey: .rate)
    shrinkage = try fields.decodeIfPresent(Double.self, forKey: .shrinkage) ?? 0
    neighbourWeight = try fields.decode(Double.self, forKey: .neighbourWeight)
    largestNeighbourWeight = try fields.decodeIfPresent(Double.self, forKey: .largestNeighbourWeight)
    forgetting = try fields.decodeIfPresent(Forgetting.self, forKey: .forgetting) ?? .evenShare
    answersTogether = try fields.decodeIfPresent(Double.self, forKey: .answersTogether)
    forgottenShare = try fields.decodeIfPresent(Double.self, forKey: .forgottenShare)
    overChance = try fields.decodeIfPresent(Double.self, forKey: .overChance)
    sameRelation = try fields.decode(Int.self, forKey: .sameRelation)
    otherRelations = try fields.decode(Int.self, forKey: .otherRelations)
    erasedPrompts = try fields.decodeIfPresent(Int.self, forKey: .erasedPrompts)
    erasedPromptsPerStep = try fields.decodeIfPresent(Int.self, forKey: .erasedPromptsPerStep)
    neighboursPerStep = try fields.decodeIfPresent(Int.self, forKey: .neighboursPerStep)
    sameSubject = try fields.decodeIfPresent(Int.self, forKey: .sameSubject) ?? 0
    unlisted = try fields.decodeIfPresent(Int.self, forKey: .unlisted) ?? 0
    shortened = try fields.decodeIfPresent(Int.self, forKey: .shortened) ?? 0
    insists = try fields.decodeIfPresent(Bool.self, forKey: .insists) ?? false
    heeded = try fields.decodeIfPresent(Int.self, forKey: .heeded) ?? Self.mostCounted
    keepsAnswers = try fields.decodeIfPresent(Bool.self, forKey: .keepsAnswers) ?? false
    pullRate = try fields.decodeIfPresent(Double.self, forKey: .pullRate)
    form = try fields.decodeIfPresent(ChangeForm.self, forKey: .form) ?? .free
    following = try fields.decodeIfPresent(FollowedPieces.self, forKey: .following) ?? .all
  }

  /// The same for an update of several facts at once, with answers of up to `pieces` word pieces.
  ///
  /// The facts' losses add up, so neighbours weigh more, by their number to the power of 3/4; there are more of them for
  /// several relations, up to ``mostNeighbours``; and steps, once more for each factor of ten. Shortened prompts are left
  /// out by and by: there are ``mostShortened`` at most. Every piece of an answer is a question of its own, takes as many
  /// steps and heeds as many neighbours.
  public func scaled(edits: Int, relations: Int, pieces: Int) -> SlotOptimization {
    var result = self
    result.steps *= max(1, pieces)
    if pieces > 1 { result.heeded = min(heeded, Self.mostCounted) * pieces }
    guard edits > 1 else { return result }
    result.neighbourWeight *= pow(Double(edits), 0.75)
    result.sameRelation = max(
      sameRelation, min(min(sameRelation, Self.mostNeighbours) * relations, Self.mostNeighbours))
    result.sameSubject = min(sameSubject, max(1, Self.mostNeighbours / edits))
    result.unlisted = min(unlisted, max(1, Self.mostNeighbours / edits))
    result.shortened = min(shortened, Self.mostShortened / edits)
    result.heeded = max(
      result.heeded, min(min(result.heeded, Self.mostNeighbours) * edits, Self.mostNeighbours))
    result.steps = Int(Double(result.steps) * (1 + log10(Double(edits))))
    return result
  }

  /// Neighbours of the edited relations together, where there are several.
  static let mostNeighbours = 2000

  /// Shortened prompts of all edits together, where there are several.
  static let mostShortened = 400

  /// A number of steps or neighbours beyond which nobody can mean it; as many neighbours are all there are.
  public static let mostCounted = 1_000_000

  /// Whether every number is one that an optimisation can be run with.
  public var isSound: Bool {
    slots > 0 && layers > 0 && confidence > 0 && confidence < 1 && rate.isFinite && shrinkage.isFinite
      && rate > 0 && shrinkage >= 0 && neighbourWeight.isFinite && neighbourWeight >= 0
      && [largestNeighbourWeight, forgottenShare, overChance, pullRate].allSatisfy { $0?.isFinite ?? true }
      && (0..<1).contains(answersTogether ?? 0) && (pullRate ?? 0) >= 0
      && [neighboursPerStep, erasedPrompts, erasedPromptsPerStep].allSatisfy { ($0 ?? 1) > 0 }
      && [steps, sameRelation, otherRelations, sameSubject, unlisted, shortened, heeded].allSatisfy(
        (0...Self.mostCounted).contains)
  }

  /// The upper layers that may be edited, of a model with so many.
  public func upperLayers(_ layerCount: Int) -> Range<Int> { max(0, layerCount - layers)..<layerCount }

  /// The layers in which neurons are taken by what they do at the subject, of a model with so many: those that are not
  /// upper ones, in order.
  public func subjectLayers(_ layerCount: Int) -> [Int] {
    let layers: [Int]
    switch subjectLayers {
    case .middle: layers = Array((layerCount - 1) / 2...layerCount / 2)
    case .numbers(let numbers): layers = numbers
    case .absent: layers = []
    }
    return layers.filter { $0 < upperLayers(layerCount).lowerBound }
  }

  /// Refuses more upper layers than there are, a subject's layer that is no layer below them, and fewer slots than these layers
  /// take.
  ///
  /// - Throws: ``EditError/tooManyLayers(_:of:)``, ``EditError/noSubjectLayer(_:below:)`` and
  ///   ``EditError/tooFewSlots(_:layers:)``.
  public func requireLayers(_ layerCount: Int) throws(EditError) {
    guard layers <= layerCount else { throw .tooManyLayers(layers, of: layerCount) }
    let bound = upperLayers(layerCount).lowerBound
    if case .numbers(let numbers) = subjectLayers, let wrong = numbers.first(where: { $0 >= bound }) {
      throw .noSubjectLayer(wrong, below: bound)
    }
    let edited = editedLayers(layerCount)
    guard slots >= edited.count || edited.count == layers else { throw .tooFewSlots(slots, layers: edited.count) }
  }

  /// All layers that may be edited, of a model with so many, the lowest first.
  public func editedLayers(_ layerCount: Int) -> [Int] { subjectLayers(layerCount) + upperLayers(layerCount) }

  /// The last steps, in which every word piece follows: they make good what the others did not see, how the change spreads
  /// from the edited pieces to the rest.
  private var stepsOfAll: Int { (steps + 3) / 4 }

  /// After so many steps each time, it looks whether the word pieces that matter still do.
  static let stepsBetweenLooks = 8

  /// Where the others have more than this share of P on a prompt, all word pieces matter there from then on.
  static let misleadingShare = 0.5

  /// How many times the steps it begins anew with where that is so on most of the prompts.
  static let stepsOnceMisled = 4

  /// What erasures took for ``forgottenShare`` that asked the same prompts in every step; on those that it does not see
  /// such an erasure says several times as many answers.
  static let forgottenShareBefore = 0.01

  /// What erasures took for ``overChance`` whose records do not tell.
  static let overChanceBefore = 1.25

  /// What the neighbours' weight grows by in a step that finds the relation forgotten, and shrinks by in one that does not.
  static let weightGrowth = 1.15

  /// An update says its answers when it says at least this share of them.
  static let taughtShare = 0.99

  /// The part of the neighbours' weight that is left at least, however little an update says.
  static let leastWeightShare = 0.4

  /// The neighbours' weight in the next step.
  ///
  /// - Parameter isLate: Whether half of the steps are done. An update that does not say its answers by then would not any more
  ///   where neighbours weighed as much as they did.
  func nextWeight(_ weight: Double, shareSaid: Double, byChance: Double = 0, isLate: Bool) -> Double {
    guard let largest = largestNeighbourWeight else {
      return isLate && insists && shareSaid < Self.taughtShare
        ? max(Self.leastWeightShare * neighbourWeight, weight / Self.weightGrowth) : weight
    }
    return shareSaid
      <= max(forgottenShare ?? Self.forgottenShareBefore, (overChance ?? Self.overChanceBefore) * byChance)
      ? max(weight, min(largest, weight * Self.weightGrowth)) : max(neighbourWeight, weight / Self.weightGrowth)
  }

  /// A mean divergence of the neighbours, in nats, below which there is nothing more to win by going on.
  static let negligibleDivergence = 5e-4

  /// Goals that neighbours stay as they are; the mean divergence of those about other subjects counts
  /// ``neighbourWeight``, and each about an edited one as much as each of these.
  func staying(_ strangers: [EncodedPrompt], ofEditedSubjects own: [EncodedPrompt] = []) -> [OutputGoal] {
    let weight = neighbourWeight / Double(max(1, strangers.count))
    return own.map { OutputGoal(prompt: $0, wanted: .unchanged, weight: weight, isAboutEditedSubject: true) }
      + strangers.map { OutputGoal(prompt: $0, wanted: .unchanged, weight: weight) }
  }

  /// Goals that an erasure's neighbours stay as they are, and what they ask for as likely where ``keepsAnswers`` is set.
  func staying(_ neighbours: [OptimizedErasure.Neighbour]) -> [OutputGoal] {
    let weight = neighbourWeight / Double(max(1, neighbours.count))
    return neighbours.map {
      OutputGoal(
        prompt: $0.target.prompt, wanted: keepsAnswers ? .keeping($0.target.answer) : .unchanged, weight: weight,
        relation: $0.relation)
    }
  }

  /// Prompts of an erased relation that older erasures were made from, at most.
  public static let erasedPromptsBefore = 600

  /// An erased relation's prompts and its neighbours in batches, one a step, until all of both have had their turn: as many
  /// prompts in each, and of each relation as many neighbours, where they come relation after relation.
  ///
  /// Where not every word piece follows, steps are cheap, and all are in one batch; keys are made of the prompts of the first, so
  /// with keys each has all prompts. There are no more batches than steps.
  func turns<Prompt, Neighbour>(
    _ prompts: [Prompt], _ neighbours: [Neighbour]
  ) -> [(prompts: [Prompt], neighbours: [Neighbour])] {
    let others = batches(neighbours)
    let takeTurns = following == .all && form != .keyed
    let size = takeTurns ? min(prompts.count, erasedPromptsPerStep ?? prompts.count) : prompts.count
    let count = max(others.count, (prompts.count + size - 1) / max(1, size))
    return (0..<max(1, min(count, steps))).map { turn in
      ((0..<size).map { prompts[(turn * size + $0) % prompts.count] }, others[turn % others.count])
    }
  }

  /// An erasure's neighbours in batches: of each relation as many in each, where they come relation after relation.
  func batches<Neighbour>(_ neighbours: [Neighbour]) -> [[Neighbour]] {
    guard let size = neighboursPerStep, following == .all, neighbours.count > size else { return [neighbours] }
    let count = (neighbours.count + size - 1) / size
    return (0..<count).map { batch in
      stride(from: batch, to: neighbours.count, by: count).map { neighbours[$0] }
    }
  }

  /// The slots of `neurons` after Adam (Kingma & Ba 2015) has brought the goals' loss down.
  ///
  /// Stops early when the loss is as good as nothing. Deterministic.
  /// - Parameters:
  ///   - questions: Per question, the positions of its goals; see ``ChangeForm/keyed``.
  ///   - subjects: Per subject, the positions of the goals that ask about it.
  ///   - further: Goals whose turn it is after those of `traced`, a batch a step: other ones of the same kinds. There are
  ///     none unless every word piece follows.
  ///   - progress: Is told how many steps are done; in the end all, also where fewer were needed.
  func minimize(
    _ traced: TracedGoals, questions: [[Int]], subjects: [[Int]] = [], neurons: [Neuron],
    further: [[OutputGoal]] = [], progress: (Int) -> Void = { _ in }
  ) -> [ValueSlot] {
    precondition(further.isEmpty || following == .all)
    guard !neurons.isEmpty else { return [] }
    let model = traced.model
    let hidden = model.configuration.hiddenSize
    let layerCount = model.configuration.layerCount
    let directions =
      switch form {
      case .free: SlotDirections(free: neurons.count)
      case .whitened: SlotDirections(whitening: neurons, in: traced)
      case .keyed:
        SlotDirections(
          keysOf: questions, subjects: subjects,
          subjectLayers: subjectLayers(layerCount), neurons: neurons, in: traced)
      }
    let heeded =
      form == .keyed
      ? directions.heeded(heeded, of: traced, neurons: neurons) : traced.goals.indices.map { ($0, 1) }
    let slots = neurons.map { (layer: $0.layer, index: $0.index) }
    var misled: Set<Int> = []
    func objective(_ following: FollowedPieces, pieces: Set<Int>? = nil) -> SlotObjective {
      SlotObjective(
        traced.keeping(heeded, following: following), slots: slots, pieces: pieces, lookingAtAll: misled)
    }
    var turns =
      [objective(following)]
      + further.map {
        SlotObjective(TracedGoals(model, $0, from: traced.lowestLayer, threads: traced.threads), slots: slots)
      }
    let values = Matrix(rows: directions.weights.rows, columns: hidden)
    var adam = Adam(count: values.rows * hidden)
    func changes() -> [[Float]] {
      let all = directions.changes(values)
      return neurons.indices.map { all.rows($0, count: 1).values }
    }
    var isExact = following == .all
    var weight = neighbourWeight
    var pull = RelationPull(rate: pullRate ?? 0)
    func evaluate(_ step: Int) -> SlotGradients {
      turns[step % turns.count].evaluate(
        changes(), neighbourFactor: neighbourWeight > 0 ? weight / neighbourWeight : 1, pulls: pull.pulls)
    }
    // A weight that has grown says nothing about the edit's own prompts, whose loss is not multiplied by it.
    func isReached(_ state: SlotGradients) -> Bool {
      state.loss <= min(weight, neighbourWeight) * Self.negligibleDivergence
    }
    var (step, last) = (0, steps)
    while step < last {
      defer { step += 1 }
      if step > 0, step.isMultiple(of: Self.stepsBetweenLooks) {
        let found = turns[0].misled(changes(), leavingOut: Self.misleadingShare)
        misled.formUnion(found)
        if 2 * found.count > heeded.count(where: { traced.goals[$0.0].wantsAnswer }) {
          // What the steps so far have reached counts for little.
          last = step + Self.stepsOnceMisled * steps
          isExact = following == .all
        }
        if !found.isEmpty { turns[0] = objective(isExact ? .all : following, pieces: turns[0].pieces) }
      }
      var state = evaluate(step)
      if !isExact, step >= last - stepsOfAll || isReached(state) {
        (turns[0], isExact) = (objective(.all, pieces: turns[0].pieces), true)
        state = evaluate(step)
      }
      if isReached(state) { break }
      weight = nextWeight(weight, shareSaid: state.shareSaid, byChance: state.shareByChance, isLate: 2 * step >= last)
      pull.note(state.changes, of: turns[step % turns.count].goals)
      let gradients = directions.gradients(state.gradients, hidden: hidden)
      adam.step(
        values, against: gradients, size: Float(rate) * (1 - Float(step) / Float(last)), shrinkage: Float(shrinkage))
      progress(min(step + 1, steps))
    }
    progress(steps)
    return zip(neurons, changes()).map { neuron, change in
      let before = model.weights.valueSlot(layer: neuron.layer, index: neuron.index)
      return ValueSlot(layer: neuron.layer, index: neuron.index, values: zip(before, change).map { $0 + $1 })
    }
  }
}
