import BERT
import Checkpoint
import Foundation
import Kernels
import Neurons

/// The layer below the upper ones in which an edit also moves neurons that fire for the subject.
public enum SubjectLayer: Sendable, Hashable, Codable, RawRepresentable {
  /// The last of the model's lower half.
  case middle
  /// That one, from 0.
  case number(Int)
  /// None.
  case absent

  /// `middle`, `none` or a number.
  public init?(rawValue: String) {
    switch rawValue {
    case "middle": self = .middle
    case "none": self = .absent
    default:
      guard let number = Int(rawValue), number >= 0 else { return nil }
      self = .number(number)
    }
  }

  /// As ``init(rawValue:)`` takes it.
  public var rawValue: String {
    switch self {
    case .middle: "middle"
    case .number(let number): String(number)
    case .absent: "none"
    }
  }
}

/// How value slots are optimised; kept in the record.
public struct SlotOptimization: Sendable, Hashable, Codable {
  /// Value slots at most, for each fact of an update and for a whole erasure.
  public var slots: Int
  /// How many of the upper layers neurons are taken from, by what they do at `[MASK]`.
  public var layers: Int
  /// The layer in which neurons are taken by what they do at the subject.
  public var subjectLayer: SubjectLayer
  /// P to reach on every prompt of an update.
  public var confidence: Double
  /// Steps at most.
  public var steps: Int
  /// Adam's first step size; it falls evenly to zero.
  public var rate: Double
  /// Weight of the neighbours' divergence.
  public var neighbourWeight: Double
  /// Prompts of the relation's other facts that are neighbours, one a fact; an erasure has none.
  public var sameRelation: Int
  /// Prompts of other relations' facts that are neighbours, one a fact.
  public var otherRelations: Int
  /// Of all neighbours, how many a keyed optimisation runs; see ``OptimizedUpdate``.
  public var heeded: Int
  /// What the optimisation varies.
  public var form: ChangeForm

  /// The defaults of an update, chosen on the measurements in docs/editing.md.
  public static let update = SlotOptimization(
    slots: 32, layers: 2, subjectLayer: .middle, confidence: 0.99, steps: 30, rate: 0.08, neighbourWeight: 40,
    sameRelation: 200, otherRelations: 300, heeded: 54, form: .keyed)

  /// The defaults of an erasure.
  public static let erasure = SlotOptimization(
    slots: 64, layers: 2, subjectLayer: .absent, confidence: 0.9, steps: 200, rate: 0.05, neighbourWeight: 60,
    sameRelation: 0, otherRelations: 1500, heeded: 1500, form: .free)

  /// All of it.
  public init(
    slots: Int, layers: Int, subjectLayer: SubjectLayer = .absent, confidence: Double, steps: Int, rate: Double,
    neighbourWeight: Double, sameRelation: Int, otherRelations: Int, heeded: Int = 54, form: ChangeForm
  ) {
    self.slots = slots
    self.layers = layers
    self.subjectLayer = subjectLayer
    self.confidence = confidence
    self.steps = steps
    self.rate = rate
    self.neighbourWeight = neighbourWeight
    self.sameRelation = sameRelation
    self.otherRelations = otherRelations
    self.heeded = heeded
    self.form = form
  }

  /// From a record; one that was written before a parameter was thought of means what was done then.
  public init(from decoder: any Decoder) throws {
    let fields = try decoder.container(keyedBy: CodingKeys.self)
    slots = try fields.decode(Int.self, forKey: .slots)
    layers = try fields.decode(Int.self, forKey: .layers)
    subjectLayer = try fields.decodeIfPresent(SubjectLayer.self, forKey: .subjectLayer) ?? .absent
    confidence = try fields.decode(Double.self, forKey: .confidence)
    steps = try fields.decode(Int.self, forKey: .steps)
    rate = try fields.decode(Double.self, forKey: .rate)
    neighbourWeight = try fields.decode(Double.self, forKey: .neighbourWeight)
    sameRelation = try fields.decode(Int.self, forKey: .sameRelation)
    otherRelations = try fields.decode(Int.self, forKey: .otherRelations)
    heeded = try fields.decodeIfPresent(Int.self, forKey: .heeded) ?? Self.mostCounted
    form = try fields.decodeIfPresent(ChangeForm.self, forKey: .form) ?? .free
  }

  /// The same for an update of several facts at once, with answers of up to `pieces` word pieces.
  ///
  /// The facts' losses add up, so neighbours weigh more, by their number to the power of 3/4; there are more of them for
  /// several relations, up to ``mostNeighbours``; and steps, once more for each factor of ten. Every piece of an answer is
  /// a question of its own, and takes as many steps.
  public func scaled(edits: Int, relations: Int, pieces: Int) -> SlotOptimization {
    var result = self
    result.steps *= max(1, pieces)
    guard edits > 1 else { return result }
    result.neighbourWeight *= pow(Double(edits), 0.75)
    result.sameRelation = max(
      sameRelation, min(min(sameRelation, Self.mostNeighbours) * relations, Self.mostNeighbours))
    result.heeded = max(heeded, min(min(heeded, Self.mostNeighbours) * edits, Self.mostNeighbours))
    result.steps = Int(Double(result.steps) * (1 + log10(Double(edits))))
    return result
  }

  /// Neighbours of the edited relations together, where there are several.
  static let mostNeighbours = 2000

  /// A number of steps or neighbours beyond which nobody can mean it; as many neighbours are all there are.
  public static let mostCounted = 1_000_000

  /// Whether every number is one that an optimisation can be run with.
  public var isSound: Bool {
    slots > 0 && layers > 0 && confidence > 0 && confidence < 1 && rate.isFinite && neighbourWeight.isFinite
      && [steps, sameRelation, otherRelations, heeded].allSatisfy((0...Self.mostCounted).contains)
  }

  /// The upper layers that may be edited, of a model with so many.
  public func upperLayers(_ layerCount: Int) -> Range<Int> { max(0, layerCount - layers)..<layerCount }

  /// The layer in which neurons are taken by what they do at the subject, of a model with so many; nil where it would be
  /// an upper one.
  public func subjectLayer(_ layerCount: Int) -> Int? {
    let layer: Int
    switch subjectLayer {
    case .middle: layer = (layerCount - 1) / 2
    case .number(let number): layer = number
    case .absent: return nil
    }
    return layer < upperLayers(layerCount).lowerBound ? layer : nil
  }

  /// Refuses a subject's layer that is no layer below the upper ones.
  ///
  /// - Throws: ``EditError/noSubjectLayer(_:below:)``.
  public func requireSubjectLayer(_ layerCount: Int) throws(EditError) {
    if case .number(let number) = subjectLayer, subjectLayer(layerCount) == nil {
      throw .noSubjectLayer(number, below: upperLayers(layerCount).lowerBound)
    }
  }

  /// All layers that may be edited, of a model with so many, the lowest first.
  public func editedLayers(_ layerCount: Int) -> [Int] {
    (subjectLayer(layerCount).map { [$0] } ?? []) + upperLayers(layerCount)
  }

  /// A mean divergence of the neighbours, in nats, below which there is nothing more to win by going on.
  static let negligibleDivergence = 5e-4

  /// Goals that neighbours stay as they are; their mean divergence counts ``neighbourWeight``.
  func staying(_ neighbours: [EncodedPrompt]) -> [OutputGoal] {
    neighbours.map {
      OutputGoal(prompt: $0, wanted: .unchanged, weight: neighbourWeight / Double(neighbours.count))
    }
  }

  /// The slots of `neurons` after Adam (Kingma & Ba 2015) has brought the goals' loss down.
  ///
  /// Stops early when the loss is as good as nothing. Deterministic.
  /// - Parameters:
  ///   - questions: Per question, the positions of its goals; see ``ChangeForm/keyed``.
  ///   - subjects: Per subject, the positions of the goals that ask about it.
  func minimize(
    _ traced: TracedGoals, questions: [[Int]], subjects: [[Int]] = [], neurons: [Neuron]
  ) -> [ValueSlot] {
    guard !neurons.isEmpty else { return [] }
    let model = traced.model
    let hidden = model.configuration.hiddenSize
    let layerCount = model.configuration.layerCount
    let directions =
      switch form {
      case .free: SlotDirections(free: neurons.count)
      case .keyed:
        SlotDirections(
          keysOf: questions, subjects: subjects,
          subjectLayer: subjectLayer(layerCount) == traced.lowestLayer ? traced.lowestLayer : nil, neurons: neurons,
          in: traced)
      }
    let heeded = form == .free ? traced : directions.heeding(heeded, of: traced, neurons: neurons)
    let objective = SlotObjective(heeded, slots: neurons.map { (layer: $0.layer, index: $0.index) })
    let values = Matrix(rows: directions.weights.rows, columns: hidden)
    var first = [Float](repeating: 0, count: values.rows * hidden)
    var second = first
    func changes() -> [[Float]] {
      let all = directions.changes(values)
      return neurons.indices.map { all.rows($0, count: 1).values }
    }
    for step in 0..<steps {
      let state = objective.evaluate(changes())
      if state.loss < neighbourWeight * Self.negligibleDivergence { break }
      let gradients = directions.gradients(state.gradients, hidden: hidden)
      let (decay1, decay2) = (1 - pow(0.9, Float(step + 1)), 1 - pow(0.999, Float(step + 1)))
      let size = Float(rate) * (1 - Float(step) / Float(steps))
      for row in 0..<values.rows {
        for column in 0..<hidden {
          let (gradient, position) = (gradients[row, column], row * hidden + column)
          first[position] = 0.9 * first[position] + 0.1 * gradient
          second[position] = 0.999 * second[position] + 0.001 * gradient * gradient
          values[row, column] -=
            size * (first[position] / decay1) / ((second[position] / decay2).squareRoot() + 1e-8)
        }
      }
    }
    return zip(neurons, changes()).map { neuron, change in
      let before = model.weights.valueSlot(layer: neuron.layer, index: neuron.index)
      return ValueSlot(layer: neuron.layer, index: neuron.index, values: zip(before, change).map { $0 + $1 })
    }
  }
}
