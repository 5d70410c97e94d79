import Attribution
import BERT
import Editing
import Neurons
import Relations

/// Which neurons an optimised edit moves: those that express what is edited, by attribution, and among them those that
/// fire for it and not for its neighbours.
struct NeuronSelection {
  private let optimization: SlotOptimization
  private let request: EditRequest

  init(_ request: EditRequest, _ optimization: SlotOptimization) {
    self.request = request
    self.optimization = optimization
  }

  /// The lowest layer of which neurons can be chosen.
  ///
  /// - Throws: for neurons of a file that the model does not have.
  var lowestLayer: Int {
    get throws {
      let configuration = request.model.bert.configuration
      let given = request.located?.facts.flatMap(\.refinedSet) ?? []
      try configuration.requireNeurons(given)
      return given.map(\.layer).min() ?? optimization.editedLayers(configuration.layerCount).lowerBound
    }
  }

  /// The neurons to move, of `candidates`, for what is asked at `positions` of the goals, which are followed by the
  /// neighbours.
  func choose(
    among candidates: [Neuron], at positions: Range<Int>, neighbours: Int, of traced: TracedGoals
  ) -> [Neuron] {
    let activations = traced.activations(of: candidates.map { (layer: $0.layer, index: $0.index) })
    return selectiveNeurons(
      optimization.slots, among: candidates, own: Array(activations[positions]),
      neighbours: Array(activations.suffix(neighbours)))
  }

  /// The neurons for facts of one relation, and how they were located.
  ///
  /// With a neurons file they are chosen from its facts' refined sets.
  /// - Parameter positions: Per edit, where its goals are, on whose prompts the neurons shall fire.
  func choose(
    for edits: [FactEdit], of relation: String, at positions: [Range<Int>], neighbours: Int, of traced: TracedGoals,
    progress: (Int) -> Void
  ) throws -> (located: LocatedRelation, neurons: [[Neuron]]) {
    var pools: [[Neuron]] = edits.map { _ in [] }
    let located: LocatedRelation
    if request.located != nil {
      located = try request.locate([], progress: progress)
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
    return (located, zip(pools, positions).map { choose(among: $0, at: $1, neighbours: neighbours, of: traced) })
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
    let edited = optimization.editedLayers(layers)
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
