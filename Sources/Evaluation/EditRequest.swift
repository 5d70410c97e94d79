import Attribution
import BERT
import Checkpoint
import Editing
import Foundation
import Kernels
import Neurons
import Relations

/// What an update and an erasure have in common: models, relations, neurons and where the result goes.
public struct EditRequest: Sendable {
  /// The source model.
  public internal(set) var model: MaskedLanguageModel
  /// Its path as the user gave it, for the record.
  public let modelPath: String
  /// The relations.
  public let catalogue: RelationCatalogue
  /// Their path as the user gave it, for the record.
  public let relationsPath: String
  /// The relation concerned.
  public let relation: Relation
  /// Neurons located before; nil to locate now.
  public internal(set) var located: LocatedRelation?
  /// How to locate now.
  public let method: LocatingMethod
  /// How answers of several word pieces are asked for.
  public let order: AnswerOrder
  /// The directory to write; nil when nothing is to be written.
  public let output: URL?
  /// Whether files that exist there are replaced.
  public let overwrite: Bool
  /// Seed of every random choice.
  public let seed: UInt64
  /// `knedit` and its version, for the record.
  public let tool: String
  /// Threads to use.
  public let threads: ThreadCount
  /// Bytes that locating may use beside the weights.
  public let memory: Int

  /// A request with all its parts.
  public init(
    model: MaskedLanguageModel, modelPath: String, catalogue: RelationCatalogue, relationsPath: String,
    relation: Relation, located: LocatedRelation?, method: LocatingMethod, order: AnswerOrder = .leftToRight,
    output: URL?, overwrite: Bool, seed: UInt64, tool: String, threads: ThreadCount, memory: Int
  ) {
    self.model = model
    self.modelPath = modelPath
    self.catalogue = catalogue
    self.relationsPath = relationsPath
    self.relation = relation
    self.located = located
    self.method = method
    self.order = order
    self.output = output
    self.overwrite = overwrite
    self.seed = seed
    self.tool = tool
    self.threads = threads
    self.memory = memory
  }

  /// The neurons that were given, checked against the model, or located now on `facts`.
  func locate(
    _ facts: [(fact: Fact, prompts: [String])], progress: (Int) -> Void
  ) throws -> LocatedRelation {
    if let given = try givenNeurons() { return given }
    return try model.locate(
      facts, relation: relation.name, method: method, order: order, threads: threads, memory: memory,
      progress: progress)
  }

  /// The neurons that were given, checked against the model; nil where they are to be located.
  func givenNeurons() throws -> LocatedRelation? {
    try model.bert.configuration.requireNeurons(located?.facts.flatMap(\.refinedSet) ?? [])
    return located
  }

  /// What does the arithmetic, for the record.
  private var machine: EditRecord.Machine { EditRecord.Machine(threads: threads.value, instructions: instructionSet) }

  /// The source, for the record.
  private func source() throws -> EditRecord.Source {
    let file = model.checkpoint.weightsFile
    let sha256 = try fingerprint(of: file)
    try model.checkpoint.requireUnchanged()
    return EditRecord.Source(model: modelPath, file: file.lastPathComponent, sha256: sha256)
  }

  /// The record of an edit with what every edit has.
  ///
  /// - Throws: ``EditError/noFigures(_:)`` for figures that are no numbers.
  func record(
    _ kind: EditRecord.Kind, relation: String, method: EditRecord.Method, located: LocatedRelation, neurons: [Neuron],
    prompts: [String], figures: some EditFigures
  ) throws -> EditRecord {
    try figures.requireNumbers()
    var record = EditRecord(
      tool: tool, machine: machine, kind: kind, source: try source(), relations: relationsPath, relation: relation,
      method: method, location: EditRecord.Location(located), neurons: neurons, prompts: prompts,
      order: order == .leftToRight ? nil : order, seed: seed, before: figures.recordedBefore,
      after: figures.recordedAfter)
    record.relationsFingerprint = try catalogue.fingerprint()
    return record
  }

  /// Refuses an output that may not be written, before any work is done.
  func checkOutput() throws {
    guard let output else { return }
    func isThere(_ name: String) -> Bool { FileManager.default.fileExists(atPath: output.appending(path: name).path) }
    let weights = model.checkpoint.weightsFile.lastPathComponent
    let holdsModel = (Checkpoint.companions + [weights, EditRecord.fileName]).contains(where: isThere)
    // Whatever would be replaced or removed must be what an edit wrote.
    let earlier = try? EditRecord(contentsOf: output.appending(path: EditRecord.fileName))
    do throws(CheckpointError) { try model.checkpoint.checkOutput(output, overwrite: overwrite) } catch {
      if case .outputExists = error, holdsModel, earlier == nil { throw EditError.notAnEdit(path: output.path) }
      throw error
    }
    guard holdsModel else { return }
    guard let earlier else { throw EditError.notAnEdit(path: output.path) }
    let replaced = output.appending(path: weights)
    if isThere(weights), try fingerprint(of: replaced) != earlier.result?.sha256 {
      throw EditError.changedSince(path: replaced.path)
    }
  }

  /// An edit's slots as the file will hold them.
  ///
  /// - Throws: ``EditError/beyondNumbers``, or `CheckpointError` for what the file cannot hold.
  func stored(_ slots: [ValueSlot]) throws -> [ValueSlot] {
    guard slots.areNumbers else { throw EditError.beyondNumbers }
    return try model.checkpoint.stored(slots)
  }

  /// Writes the patched checkpoint and, completed with its fingerprint, the record, which it returns.
  ///
  /// - Throws: As ``checkOutput()``, and `CheckpointError` for what cannot be written.
  func write(_ slots: [ValueSlot], _ plan: EditRecord) throws -> EditRecord {
    guard let output else { throw EditError.noOutput }
    // Planning may have taken long enough for something else to come to lie there.
    try checkOutput()
    var record = plan
    let file = model.checkpoint.weightsFile.lastPathComponent
    try model.checkpoint.writePatched(slots, to: output, overwrite: overwrite) { sha256 in
      record.result = EditRecord.Source(model: output.relativePath, file: file, sha256: sha256)
      return (EditRecord.fileName, try record.json())
    }
    return record
  }
}

extension RelationCatalogue {
  /// SHA-256 of names, templates and facts of all relations, whatever the form of the files that hold them.
  ///
  /// - Throws: `RelationError` when a relation's patterns are missing or malformed.
  public func fingerprint() throws -> String { try sha256(of: canonicalBytes()) }
}

extension BERTConfiguration {
  /// Refuses neurons that the model does not have.
  func requireNeurons(_ neurons: [Neuron]) throws(LocationError) {
    for neuron in neurons
    where !(0..<layerCount).contains(neuron.layer) || !(0..<intermediateSize).contains(neuron.index) {
      throw .noSuchNeuron(layer: neuron.layer, index: neuron.index, layers: layerCount, width: intermediateSize)
    }
  }
}
