import ArgumentParser
import BERT
import Editing
import Evaluation
import Foundation
import Relations

struct EvaluateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Judge an edit from its record, beside the same edit on random neurons.",
    discussion: """
      Both checkpoints must be the ones of the record, which their fingerprints tell. Where the written checkpoint is \
      not at hand, the edit is made again in memory.
      """)

  @Argument(help: "A record, or the directory that an edit wrote.")
  var record: String

  @OptionGroup var model: ModelOptions
  @OptionGroup var printing: PrintOptions
  @OptionGroup var result: ResultFileOptions

  func run() throws {
    try result.check()
    let url = URL(filePath: record)
    let record = try EditRecord(contentsOf: url)
    let source = try MaskedLanguageModel(opening: sourceLocation(record))
    let catalogue = try RelationCatalogue(directory: relationsLocation(record, source: source.checkpoint.directory))
    let written = try record.result.flatMap { result in
      try [url, url.deletingLastPathComponent(), URL(filePath: result.model)].first {
        FileManager.default.fileExists(atPath: $0.appending(path: result.file).path)
      }.map { try MaskedLanguageModel(opening: $0.appending(path: result.file)) }
    }
    let evaluation = try RecordEvaluation(
      record, source: source, result: written, catalogue: catalogue, threads: model.threadCount)
    if written == nil, !printing.quiet {
      Console.note("The written checkpoint is not at hand; the edit was made again in memory.")
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
        "Erased \(record.relation)\n" + neurons + Report.erasure(pair.edit, control: pair.control)
      case .batch(let pair): Report.batch(pair.edit, control: pair.control)
      }
    try Console.deliver(text, to: result.output)
  }

  private struct MissingRelations: Error, CustomStringConvertible {
    let path: String
    var description: String { "The record's relations, \(path), are not there; say where they are with --relations." }
  }

  /// The relations: as given now, as recorded, or beside the source where they were recorded there.
  private func relationsLocation(_ record: EditRecord, source: URL) throws -> URL {
    if let given = model.relations { return URL(filePath: given) }
    if FileManager.default.fileExists(atPath: record.relations) { return URL(filePath: record.relations) }
    let beside = source.appending(path: "relations")
    guard record.relations == record.source.model + "/relations", FileManager.default.fileExists(atPath: beside.path)
    else { throw MissingRelations(path: record.relations) }
    return beside
  }

  /// The source: as given now, as recorded, or the bundled demo when the recorded path is not there.
  private func sourceLocation(_ record: EditRecord) throws -> URL {
    if let given = model.model { return URL(filePath: given) }
    let recorded = URL(filePath: record.source.model)
    if FileManager.default.fileExists(atPath: recorded.path) {
      let file = recorded.appending(path: record.source.file)
      return FileManager.default.fileExists(atPath: file.path) ? file : recorded
    }
    return URL(filePath: try DemoCheckpoint.path())
  }
}
