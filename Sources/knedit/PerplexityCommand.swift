import ArgumentParser
import BERT
import Editing
import Evaluation
import Foundation
import Relations

struct PerplexityCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "perplexity", abstract: "Say how well a model knows each relation, and how an edited one does.",
    discussion: """
      Every template of a relation is asked about its facts. With --edited the relations whose perplexity rose most come first: \
      of an erasure the one erased, then those that it rubbed off on. Model and relations are then those of its record, unless \
      --model and --relations say otherwise.
      """)

  @Option(help: "A relation, by name (P36) or label (capital); may be repeated. Default: all, or all in --facts.")
  var relation: [String] = []

  @Option(
    name: .customLong("edited"), help: "A model directory, weights file or record to compare with, as an edit wrote it."
  )
  var editedPath: String?

  @Option(help: "How answers of several word pieces are asked for: left-to-right or together.")
  var pieces = AnswerOrder.leftToRight

  @OptionGroup var selecting: FactOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var relations: RelationOptions
  @OptionGroup var printing: PrintOptions
  @OptionGroup var result: ResultFileOptions

  private struct Document: Encodable {
    let schema = 1
    let relations: [RelationKnowledge]
  }

  /// What was given, or where the record lies that was.
  private var edited: String? {
    guard let editedPath, URL(filePath: editedPath).lastPathComponent == EditRecord.fileName else { return editedPath }
    return URL(filePath: editedPath).deletingLastPathComponent().relativePath
  }

  /// The record of the edited model, which is needed where model or relations shall be its own.
  private func record() throws -> EditRecord? {
    guard let edited else { return nil }
    let isNeeded = model.model == nil || relations.relations == nil
    var isDirectory: ObjCBool = false
    // That it is not there is said when it is opened.
    guard FileManager.default.fileExists(atPath: edited, isDirectory: &isDirectory) else { return nil }
    let directory = isDirectory.boolValue ? URL(filePath: edited) : URL(filePath: edited).deletingLastPathComponent()
    guard isNeeded else { return try? EditRecord(contentsOf: directory) }
    guard FileManager.default.fileExists(atPath: directory.appending(path: EditRecord.fileName).path) else {
      throw InputError(
        "\(edited) has no record of what it was made from; say with --model and --relations what to compare it by.")
    }
    return try EditRecord(contentsOf: directory)
  }

  func run() throws {
    let record = try record()
    let source = try record.map { try $0.sourceLocation(given: model.model).path }
    let opened = try model.openModel(at: source, quiet: printing.quiet)
    let recorded = try record.map {
      try $0.relationsLocation(given: relations.relations, source: opened.checkpoint.directory).path
    }
    let directory = try recorded ?? relations.path()
    try result.check(others: [selecting.facts, model.model, edited] + RelationOptions.files(in: directory))
    let catalogue = try RelationCatalogue(directory: URL(filePath: directory))
    let chosen = try selecting.choose(of: relation, otherwise: catalogue.names, in: catalogue)
    let other = try edited.map { try MaskedLanguageModel(opening: URL(filePath: $0)) }
    // What lies where the record says may be another by now; what is named here is meant.
    if let record, model.model == nil {
      try record.source.requireFingerprint(of: opened)
      if let other { try record.result?.requireFingerprint(of: other) }
    }
    let models = [opened] + (other.map { [$0] } ?? [])
    let usable = chosen.map { relation, facts in
      (relation, facts.filter { fact in models.allSatisfy { relation.isAskable(fact, $0) } })
    }
    let left = zip(chosen, usable).reduce(0) { $0 + $1.0.facts.count - $1.1.1.count }
    if left > 0, !printing.quiet { Console.note(FactOptions.leftOut(left)) }
    let asked = usable.filter { !$0.1.isEmpty }
    guard !asked.isEmpty else { throw InputError("There is no fact to ask for: what was asked for selects none.") }
    let forgotten = try record?.forgottenPrompts(in: opened) ?? []
    let progress = Progress(
      "Asking (prompts)", total: asked.reduce(0) { $0 + $1.1.count * $1.0.templates.count }, quiet: printing.quiet)
    var done = 0
    let document = Document(
      relations: try asked.map { relation, facts in
        defer {
          done += facts.count * relation.templates.count
          progress.update(done)
        }
        return try RelationKnowledge(
          of: relation, facts: facts, in: opened, edited: other,
          leavingOut: relation.name == record?.relation ? [] : forgotten, order: pieces, threads: model.threadCount)
      })
    let unasked = document.relations.reduce(0) { $0 + $1.leftOut }
    if unasked > 0, !printing.quiet {
      Console.note(
        "\(unasked) prompts of other relations are left out: \(record?.relation ?? "the erasure") asks them too, so that they are to be forgotten."
      )
    }
    for model in models { model.noteChange() }
    if printing.format == .json {
      return try Console.deliver(String(decoding: document.json(), as: UTF8.self), to: result.output)
    }
    try Console.deliver(
      edited == nil ? Report.knowledge(document.relations) : Report.comparison(document.relations), to: result.output)
  }
}
