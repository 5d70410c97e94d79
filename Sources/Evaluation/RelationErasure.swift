import BERT
import Checkpoint
import Editing
import Neurons
import Relations

/// Erasing a relation from request to record.
public struct RelationErasure: Sendable {
  /// What it needs besides the facts.
  public let request: EditRequest
  /// The facts to locate and to judge by.
  public let facts: [Fact]
  /// How many neurons at most.
  public let top: Int
  /// What their slots become.
  public let fill: PaperErasure.Fill

  /// What an erasure did.
  public struct Outcome: Sendable {
    /// The record, as written.
    public let record: EditRecord
    /// The figures.
    public let evaluation: ErasureEvaluation
  }

  /// An erasure of the request's relation.
  public init(request: EditRequest, facts: [Fact], top: Int, fill: PaperErasure.Fill) {
    self.request = request
    self.facts = facts
    self.top = top
    self.fill = fill
  }

  /// Locates, edits, writes, judges and records.
  ///
  /// - Throws: before anything is written, for an output that may not be written and where no neuron is found.
  public func carryOut(progress: (Int) -> Void = { _ in }) throws -> Outcome {
    let (model, relation) = (request.model, request.relation)
    try model.checkpoint.checkOutput(request.output, overwrite: request.overwrite)
    let located = try request.locate(facts.map { ($0, relation.prompts(for: $0)) }, progress: progress)
    let neurons = located.mostFrequentNeurons(top).map(\.neuron)
    guard !neurons.isEmpty else { throw EditError.noNeurons(relation: relation.name, subject: nil) }
    let method = PaperErasure(fill: fill)
    let slots = method.valueSlots(of: neurons, in: model)
    let names = Set(located.facts.map { Fact(relation: relation.name, subject: $0.subject, answer: $0.answer) })
    let indices = relation.facts.indices.filter { names.contains(relation.facts[$0]) }
    guard !indices.isEmpty else { throw EditError.noNeurons(relation: relation.name, subject: nil) }
    let questions = try EvaluationQuestions(
      erasing: relation, facts: indices.map { relation.facts[$0] }, in: request.catalogue, model: model,
      seed: request.seed)
    let evaluation = try ErasureEvaluation(
      before: model, after: model.replacing(slots), intra: questions.intra, inter: questions.inter,
      threads: request.threads)
    let (source, result) = try request.write(slots)
    let record = EditRecord(
      tool: request.tool, kind: .erase, source: source, result: result, relations: request.relationsPath,
      relation: relation.name, fact: nil, newAnswer: nil,
      method: EditRecord.Method(name: method.name, top: top, fill: fill), location: EditRecord.Location(located),
      neurons: neurons, factIndices: indices, prompts: relation.templates.map(\.pattern), editedPrompt: nil,
      seed: request.seed,
      before: [
        "intraPerplexity": evaluation.intraPerplexityBefore, "interPerplexity": evaluation.interPerplexityBefore,
        "intraAccuracy": evaluation.intraAccuracyBefore, "interAccuracy": evaluation.interAccuracyBefore,
      ],
      after: [
        "intraPerplexity": evaluation.intraPerplexityAfter, "interPerplexity": evaluation.interPerplexityAfter,
        "intraAccuracy": evaluation.intraAccuracyAfter, "interAccuracy": evaluation.interAccuracyAfter,
      ])
    try request.write(record)
    return Outcome(record: record, evaluation: evaluation)
  }
}
