import BERT
import Checkpoint
import Editing
import Neurons
import Relations

/// Updating one fact from request to record.
public struct FactUpdate: Sendable {
  /// What it needs besides the fact.
  public let request: EditRequest
  /// The fact as the relation has it.
  public let fact: Fact
  /// The answer it shall have.
  public let newAnswer: String
  /// The user's own prompts, added to the relation's templates; the first is the edited prompt.
  public let ownPrompts: [Template]
  /// How the slots are computed.
  public let method: UpdateMethod

  /// What an update did.
  public struct Outcome: Sendable {
    /// The record, as written.
    public let record: EditRecord
    /// The figures.
    public let evaluation: UpdateEvaluation
    /// The arg-max on the edited prompt before the edit, where it was not the fact's answer.
    public let unexpectedAnswer: String?
  }

  /// An update of `fact` to `newAnswer`.
  public init(
    request: EditRequest, fact: Fact, newAnswer: String, ownPrompts: [Template], method: UpdateMethod
  ) {
    self.request = request
    self.fact = fact
    self.newAnswer = newAnswer
    self.ownPrompts = ownPrompts
    self.method = method
  }

  /// The prompts of the fact: the user's own, then one per template.
  public var prompts: [String] {
    ownPrompts.map { $0.prompt(subject: fact.subject) } + request.relation.prompts(for: fact)
  }

  /// Locates, edits, writes, judges and records.
  ///
  /// - Throws: before anything is written, for an answer that is not one word piece or that the model gives already,
  ///   for an output that may not be written and where no neuron is found.
  public func carryOut(progress: (Int) -> Void = { _ in }) throws -> Outcome {
    let model = request.model
    guard newAnswer != fact.answer else { throw EditError.sameAnswer(newAnswer) }
    let (old, new) = (try model.answer(fact.answer), try model.answer(newAnswer))
    try request.model.checkpoint.checkOutput(request.output, overwrite: request.overwrite)
    let prompts = prompts
    let encoded = try prompts.map { try model.encode($0) }
    let said = model.bert.predict(encoded, threads: request.threads) { $1.best }
    guard !said.allSatisfy({ $0 == new }) else { throw EditError.alreadySays(newAnswer, prompts: prompts.count) }
    var generator = SeededGenerator(seed: request.seed)
    let edited = ownPrompts.isEmpty ? Int.random(in: 0..<prompts.count, using: &generator) : 0
    let located = try request.locate([(fact, prompts)], progress: progress)
    guard let own = located.facts.first(where: { $0.subject == fact.subject && $0.answer == fact.answer }) else {
      throw LocationError.missingFact(subject: fact.subject, answer: fact.answer, relation: fact.relation)
    }
    let neurons = located.unsharedNeurons(of: own)
    guard !neurons.isEmpty else { throw EditError.noNeurons(relation: fact.relation, subject: fact.subject) }
    let questions = try EvaluationQuestions(
      updating: fact, in: request.catalogue, model: model, seed: request.seed)
    let editing = try method.bound(
      to: fact, newAnswer: newAnswer, prompts: prompts, in: model, catalogue: request.catalogue, questions: questions,
      seed: request.seed, threads: request.threads)
    let slots = try editing.valueSlots(of: neurons, in: model)
    let evaluation = try UpdateEvaluation(
      before: model, after: model.replacing(slots), editedPrompt: prompts[edited], prompts: prompts, old: fact.answer,
      new: newAnswer, intra: questions.intra, inter: questions.inter, threads: request.threads)
    let (source, result) = try request.write(slots)
    let record = EditRecord(
      tool: request.tool, kind: .update, source: source, result: result, relations: request.relationsPath,
      relation: fact.relation, fact: fact, newAnswer: newAnswer,
      method: method.recorded,
      location: EditRecord.Location(located), neurons: neurons, factIndices: nil, prompts: prompts,
      editedPrompt: prompts[edited], seed: request.seed,
      before: [
        "oldProbability": evaluation.edited.oldProbabilityBefore,
        "newProbability": evaluation.edited.newProbabilityBefore, "newRank": Double(evaluation.edited.newRankBefore),
        "intraPerplexity": evaluation.intraPerplexityBefore, "interPerplexity": evaluation.interPerplexityBefore,
      ],
      after: [
        "oldProbability": evaluation.edited.oldProbabilityAfter,
        "newProbability": evaluation.edited.newProbabilityAfter, "newRank": Double(evaluation.edited.newRankAfter),
        "intraPerplexity": evaluation.intraPerplexityAfter, "interPerplexity": evaluation.interPerplexityAfter,
        "changeRate": evaluation.changeRate, "successRate": evaluation.successRate,
        "paraphraseChangeRate": evaluation.paraphraseChangeRate,
        "paraphraseSuccessRate": evaluation.paraphraseSuccessRate,
      ])
    try request.write(record)
    return Outcome(
      record: record, evaluation: evaluation,
      unexpectedAnswer: said[edited] == old ? nil : model.piece(said[edited]))
  }
}
