import Attribution
import BERT
import Kernels
import Relations

/// How neurons are located.
public enum LocatingMethod: Sendable, Hashable {
  /// By integrated gradients.
  case attribution(AttributionRule)
  /// By activation alone, the paper's comparison.
  case baseline

  /// The rule's name, or `baseline`.
  public var name: String {
    switch self {
    case .attribution(let rule): rule.name
    case .baseline: "baseline"
    }
  }

  /// Points on the path; 0 for the baseline and where the rule chooses them.
  public var steps: Int {
    switch self {
    case .attribution(let rule): rule.steps
    case .baseline: 0
    }
  }

  /// The coarse threshold, as a share of the largest score.
  public var ratio: Double {
    switch self {
    case .attribution: AttributionScores.coarseRatio
    case .baseline: AttributionScores.baselineRatio
    }
  }
}

extension MaskedLanguageModel {
  /// Locates the neurons of facts of one relation.
  ///
  /// By the adaptive rule, scores that errors leave in doubt are asked for again, by points that leave none, where a refined
  /// set hangs on them.
  /// - Parameters:
  ///   - facts: Facts with their prompts, all of one relation, refined together.
  ///   - relation: The relation's name.
  ///   - method: How.
  ///   - order: How an answer of several word pieces is asked for; its pieces' scores add up.
  ///   - threads: Threads to use.
  ///   - memory: Bytes that may be used beside the weights.
  ///   - scores: Sees the scores of each fact's prompts, in the order of facts, before any is asked for again.
  ///   - progress: Is told how many of the prompts are done.
  /// - Throws: `PromptError` or `ModelError` for a prompt or answer that the model cannot take, and what `scores` throws.
  public func locate(
    _ facts: [(fact: Fact, prompts: [String])], relation: String, method: LocatingMethod,
    order: AnswerOrder = .leftToRight, threads: ThreadCount = .allCores, memory: Int = 1 << 30,
    scores observe: (Int, [AttributionScores]) throws -> Void = { _, _ in }, progress: (Int) -> Void = { _ in }
  ) throws -> LocatedRelation {
    let refinement = try withMatrixMemory(of: memory) {
      var coarse = try coarseSets(
        of: facts, method: method, order: order, threads: threads, memory: memory, scores: observe, progress: progress)
      while true {
        let refinement = Refinement(coarseSets: coarse.map { $0.map(\.neurons) })
        let decisive = refinement.decisive(in: coarse)
        if decisive.isEmpty { return refinement }
        try settle(decisive, of: facts, in: &coarse, order: order, threads: threads, memory: memory)
      }
    }
    return LocatedRelation(
      relation: relation, p: refinement.p, meanSize: refinement.meanSize, rule: method.name, steps: method.steps,
      facts: zip(facts, refinement.sets).map { entry, set in
        LocatedFact(
          subject: entry.fact.subject, answer: entry.fact.answer,
          neurons: set.map {
            LocatedFact.Member(layer: $0.neuron.layer, index: $0.neuron.index, prompts: $0.prompts)
          })
      })
  }

  /// Per fact, the coarse set of each of its prompts.
  private func coarseSets(
    of facts: [(fact: Fact, prompts: [String])], method: LocatingMethod, order: AnswerOrder, threads: ThreadCount,
    memory: Int, scores observe: (Int, [AttributionScores]) throws -> Void, progress: (Int) -> Void
  ) throws -> [[CoarseSet]] {
    var coarse: [[CoarseSet]] = []
    var done = 0
    var start = 0
    while start < facts.count {
      var end = start
      var targets: [AttributionTarget] = []
      var pieces: [Int] = []
      while end < facts.count, targets.count < Self.targetsAtOnce || end == start {
        for prompt in facts[end].prompts {
          let factors = try factors(prompt, answer: facts[end].fact.answer, order: order)
          targets += factors
          pieces.append(factors.count)
        }
        end += 1
      }
      var scores: [AttributionScores]
      switch method {
      case .attribution(let rule):
        let isFew = facts[start].prompts.count < Self.manyPrompts
        scores = bert.attributions(
          targets, rule: rule,
          tolerance: isFew ? AttributionScores.toleranceOfFewPrompts : AttributionScores.tolerance, threads: threads,
          memory: memory)
      case .baseline: scores = bert.baselineScores(targets.map(\.prompt), threads: threads)
      }
      guard scores.allSatisfy({ $0.values.allSatisfy(\.isFinite) }) else { throw ModelError.notFinite }
      var rest = scores[...]
      scores = pieces.map { count in
        defer { rest = rest.dropFirst(count) }
        return AttributionScores(sumOf: Array(rest.prefix(count)))
      }
      for index in start..<end {
        let own = Array(scores.prefix(facts[index].prompts.count))
        scores.removeFirst(own.count)
        try observe(index, own)
        coarse.append(own.map { CoarseSet($0, ratio: method.ratio) })
        done += own.count
      }
      progress(done)
      start = end
    }
    return coarse
  }

  /// Asks for the scores that decide a refined set by as many points as leave no doubt.
  ///
  /// Of some prompt in ten a score is that near to its threshold where it matters, so that asking again costs less than
  /// leaving none in doubt from the start.
  private func settle(
    _ decisive: [DecisiveNeurons], of facts: [(fact: Fact, prompts: [String])], in coarse: inout [[CoarseSet]],
    order: AnswerOrder, threads: ThreadCount, memory: Int
  ) throws {
    var rest = decisive[...]
    while !rest.isEmpty {
      var own: [(place: DecisiveNeurons, layers: Set<Int>, pieces: Int)] = []
      var targets: [AttributionTarget] = []
      while let place = rest.first, targets.count < Self.targetsAtOnce {
        let (fact, prompts) = facts[place.fact]
        let factors = try factors(prompts[place.prompt], answer: fact.answer, order: order)
        own.append((place, coarse[place.fact][place.prompt].layers(telling: place.neurons), factors.count))
        targets += factors
        rest.removeFirst()
      }
      let layers = own.flatMap { Array(repeating: $0.layers, count: $0.pieces) }
      let found = bert.attributions(targets, rule: .settling, layers: layers, threads: threads, memory: memory)
      guard found.allSatisfy({ $0.values.allSatisfy(\.isFinite) }) else { throw ModelError.notFinite }
      var scores = found[...]
      for (place, layers, pieces) in own {
        coarse[place.fact][place.prompt].settle(by: AttributionScores(sumOf: Array(scores.prefix(pieces))), in: layers)
        scores.removeFirst(pieces)
      }
    }
  }

  /// Prompts of a fact of which few refined sets hang on a score in doubt: with fewer it takes less time to leave less in doubt
  /// from the start.
  private static var manyPrompts: Int { 8 }

  /// Prompts, or pieces of answers, asked for together, so that all threads are busy, progress can be told and scores need
  /// not pile up.
  private static var targetsAtOnce: Int { 32 }
}

extension MaskedLanguageModel {
  /// Whether this model's vocabulary can spell the fact's answer.
  public func canAnswer(_ fact: Fact) -> Bool { (try? pieces(of: fact.answer)) != nil }
}

extension Relation {
  /// Whether a model can be asked for a fact: its vocabulary spells the answer, and every prompt fits its positions.
  public func isAskable(_ fact: Fact, _ model: MaskedLanguageModel) -> Bool {
    model.canAnswer(fact)
      && prompts(for: fact).allSatisfy { (try? model.factors($0, answer: fact.answer)) != nil }
  }
}
