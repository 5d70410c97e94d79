import Attribution
import BERT
import Editing
import Neurons
import Relations

/// Which neurons an optimised edit moves: in the upper layers those that express what is edited, by attribution, and
/// among them those that fire for it and not for its neighbours; in the subject's layers, those that fire for the subject.
struct NeuronSelection {
  private let optimization: SlotOptimization
  private let request: EditRequest
  private let traced: TracedGoals
  /// The neurons that can be chosen, and where each is among them.
  private let neurons: [Neuron]
  private let positions: [Neuron: Int]
  private let neighbours: ActivationMoments
  /// The subject's layers and what their neurons do on the neighbours.
  private let subjects: [(layer: Int, neighbours: ActivationMoments)]

  /// A selection for goals of which the last ones are the neighbours.
  ///
  /// - Throws: for neurons of a file that the model does not have.
  init(_ request: EditRequest, _ optimization: SlotOptimization, _ traced: TracedGoals) throws {
    self.request = request
    self.optimization = optimization
    self.traced = traced
    neurons = try Self.neurons(request, optimization)
    positions = Dictionary(uniqueKeysWithValues: neurons.enumerated().map { ($1, $0) })
    self.neighbours = ActivationMoments(
      traced.activations(of: neurons.map { (layer: $0.layer, index: $0.index) }, goals: traced.neighbours),
      width: neurons.count)
    subjects = optimization.subjectLayers(request.model.bert.configuration.layerCount).map { layer in
      let all = Self.all(of: layer, request).map { (layer: $0.layer, index: $0.index) }
      return (
        layer,
        ActivationMoments(
          [.subject, .elsewhere].flatMap { traced.activations(of: all, goals: traced.strangers, at: $0) },
          width: all.count)
      )
    }
  }

  private static func all(of layer: Int, _ request: EditRequest) -> [Neuron] {
    (0..<request.model.bert.configuration.intermediateSize).map { Neuron(layer: layer, index: $0) }
  }

  /// The lowest layer of which neurons can be chosen.
  ///
  /// - Throws: for neurons of a file that the model does not have.
  static func lowestLayer(_ request: EditRequest, _ optimization: SlotOptimization) throws -> Int {
    if let layer = optimization.subjectLayers(request.model.bert.configuration.layerCount).first { return layer }
    return try neurons(request, optimization).first?.layer ?? request.model.bert.configuration.layerCount - 1
  }

  /// Those of the file, or all of the edited layers, in order.
  private static func neurons(_ request: EditRequest, _ optimization: SlotOptimization) throws -> [Neuron] {
    let configuration = request.model.bert.configuration
    if let given = try request.givenNeurons() { return Set(given.facts.flatMap(\.refinedSet)).sorted() }
    return optimization.upperLayers(configuration.layerCount).flatMap { all(of: $0, request) }
  }

  /// The neurons to move for what the goals `range` ask: of `candidates`, and of each of the subject's layers as large a
  /// part as it is of the edited layers.
  func choose(among candidates: [Neuron], for range: Range<Int>) -> [Neuron] {
    var chosen: [Neuron] = []
    for subject in subjects {
      let all = Self.all(of: subject.layer, request)
      let own = traced.activations(of: all.map { (layer: $0.layer, index: $0.index) }, goals: range, at: .subject)
      chosen += selectiveNeurons(
        optimization.slots / (subjects.count + optimization.layers), among: Array(all.indices),
        own: traced.namingSubject(Array(range)).map { own[$0 - range.lowerBound] }, neighbours: subject.neighbours
      ).map { all[$0] }
    }
    chosen += selectiveNeurons(
      optimization.slots - chosen.count, among: candidates.compactMap { positions[$0] },
      own: traced.activations(of: neurons.map { (layer: $0.layer, index: $0.index) }, goals: range),
      neighbours: neighbours
    ).map { neurons[$0] }
    return chosen.sorted()
  }

  /// The neurons for facts of one relation, and how they were located.
  ///
  /// With a neurons file they are chosen from its facts' refined sets.
  /// - Parameter ranges: Per edit, where its goals are, on whose prompts the neurons shall fire.
  func choose(
    for edits: [FactEdit], of relation: String, at ranges: [Range<Int>], progress: (Int) -> Void
  ) throws -> (located: LocatedRelation, neurons: [[Neuron]]) {
    var pools: [[Neuron]] = edits.map { _ in [] }
    let located: LocatedRelation
    if let given = try request.givenNeurons() {
      located = given
      for (index, edit) in edits.enumerated() { pools[index] = try located.fact(edit.fact).refinedSet }
    } else {
      located = try request.model.locate(
        edits.map { ($0.fact, $0.prompts) }, relation: relation, method: request.method, order: request.order,
        threads: request.threads, memory: request.memory,
        scores: { index, scores in
          let ranking = CandidateRanking(optimization)
          ranking.add(scores)
          pools[index] = ranking.candidates
        }, progress: progress)
    }
    return (located, zip(pools, ranges).map { choose(among: $0, for: $1) })
  }
}

/// Neurons of the edited layers by the sum of their attributions over prompts: the candidates of a selection.
final class CandidateRanking {
  /// The share of the edited layers' neurons that attribution leaves to choose from.
  static let share = 0.5

  private let optimization: SlotOptimization
  private var sums: [Float] = []
  private var layers = 0
  private var width = 0

  init(_ optimization: SlotOptimization) { self.optimization = optimization }

  /// Adds the scores of some prompts.
  func add(_ scores: [AttributionScores]) {
    for score in scores {
      if sums.isEmpty {
        sums = score.values
        (layers, width) = (score.layers, score.neurons)
      } else {
        for index in sums.indices { sums[index] += score.values[index] }
      }
    }
  }

  /// The first ``share`` of the neurons, the most attributed first.
  var candidates: [Neuron] {
    let edited = optimization.upperLayers(layers)
    let positions = edited.lowerBound * width..<edited.upperBound * width
    let count = max(optimization.slots, Int(Double(positions.count) * Self.share))
    return positions.sorted { (-sums[$0], $0) < (-sums[$1], $1) }.prefix(count).map {
      Neuron(layer: $0 / width, index: $0 % width)
    }
  }
}

extension LocatedRelation {
  /// The entry of a fact.
  ///
  /// - Throws: ``LocationError/missingFact(subject:answer:relation:)``.
  func fact(_ fact: Fact) throws(LocationError) -> LocatedFact {
    guard let own = facts.first(where: { $0.subject == fact.subject && $0.answer == fact.answer }) else {
      throw .missingFact(subject: fact.subject, answer: fact.answer, relation: fact.relation)
    }
    return own
  }
}
