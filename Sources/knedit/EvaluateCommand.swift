import ArgumentParser
import BERT
import Checkpoint
import Editing
import Evaluation
import Foundation
import Relations

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Judge an edit from its record, beside the same edit on random neurons.",
    discussion: """
      Model and relations are the record's, unless --model and --relations say where else they are. Both checkpoints must be \
      the ones of the record, which their fingerprints tell. Where the written checkpoint is \
      not at hand, the edit is made again in memory.
      """)

  @Argument(help: "A record, or the directory that an edit wrote.")
  var record: String

  @OptionGroup var model: ModelOptions
  @OptionGroup var relations: RelationOptions
  @OptionGroup var printing: PrintOptions
  @OptionGroup var result: ResultFileOptions

  func run() throws {
    let url = URL(filePath: record)
    let record = try EditRecord(contentsOf: url)
    let source = try MaskedLanguageModel(opening: record.sourceLocation(given: model.model))
    let relations = try record.relationsLocation(given: relations.relations, source: source.checkpoint.directory)
    try result.check(
      others: [url.path, url.appending(path: EditRecord.fileName).path, model.model]
        + RelationOptions.files(in: relations.path))
    let catalogue = try RelationCatalogue(directory: relations)
    let written = try record.result.flatMap { result in
      var isDirectory: ObjCBool = false
      _ = FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory)
      let directory = isDirectory.boolValue ? url : url.deletingLastPathComponent()
      let beside = directory.appending(path: result.fileName)
      let recorded = URL(filePath: result.model).appending(path: result.fileName)
      // What lies beside the record must be what it tells of; elsewhere there may be another by now.
      if FileManager.default.fileExists(atPath: beside.path) { return try MaskedLanguageModel(opening: beside) }
      guard (try? fingerprint(of: recorded)) == result.sha256 else { return nil }
      return try MaskedLanguageModel(opening: recorded)
    }
    let evaluation = try RecordEvaluation(
      record, source: source, result: written, catalogue: catalogue, threads: model.threadCount)
    if written == nil, !printing.quiet {
      Console.note("The written checkpoint is not at hand; the edit was made again in memory.")
    }
    if evaluation.usedRecordedRelations == false, !printing.quiet {
      Console.note(
        "The relations in \(relations.relativePath) have changed since the edit was made, so that other facts may be drawn from them."
      )
    }
    if printing.format == .json {
      return try Console.deliver(String(decoding: evaluation.json(), as: UTF8.self), to: result.output)
    }
    let neurons = Report.neurons(record.neurons) + "\n\n"
    let text =
      switch evaluation.judgement {
      case .update(let pair):
        "\(record.fact?.subject ?? ""): \(record.fact?.answer ?? "") → \(record.newAnswer ?? "") (\(record.relation))\n"
          + neurons + Report.update(pair.edit, control: pair.control)
      case .erasure(let pair):
        "Erased \(record.method.keepsOthers == true ? "facts of " : "")\(record.relation)\n" + neurons
          + Report.erasure(pair.edit, control: pair.control)
      case .batch(let pair): Report.batch(pair.edit, control: pair.control)
      }
    try Console.deliver(text, to: result.output)
  }
}
