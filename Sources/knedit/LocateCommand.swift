import ArgumentParser
import BERT
import Foundation
import Kernels
import Neurons
import Relations

struct LocateCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "locate", abstract: "Find the neurons that express facts.")

  @Option(help: "A relation, by name (P36) or label (capital); may be repeated. With --facts: default all in the file.")
  var relation: [String] = []

  @Option(help: "A subject; may be repeated. Default: all of the relation.")
  var subject: [String] = []

  @Option(help: "Also write every score, [prompt, layer, neuron] float32 per fact, to this HDF5 file.")
  var attributions: String?

  @OptionGroup var selecting: FactOptions
  @OptionGroup var options: LocateOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var relations: RelationOptions
  @OptionGroup var printing: PrintOptions
  @OptionGroup var result: ResultFileOptions

  func validate() throws {
    guard !relation.isEmpty || selecting.facts != nil else {
      throw ValidationError("Say which relation with --relation, or which facts with --facts.")
    }
  }

  func run() throws {
    let read = [selecting.facts, model.model] + RelationOptions.files(in: try relations.path())
    try result.check(others: read + [attributions])
    if let attributions { try ResultFileOptions.requireFree(attributions, others: read) }
    let catalogue = try relations.open()
    let chosen = try selecting.choose(of: relation, subjects: subject, in: catalogue)
    let relations = chosen.map(\.relation)
    let opened = try model.openModel(quiet: printing.quiet)
    let usable = chosen.map { relation, facts in
      facts.filter { subject.isEmpty ? relation.isAskable($0, opened) : true }
    }
    let left = chosen.reduce(0) { $0 + $1.facts.count } - usable.joined().count
    if left > 0, !printing.quiet { Console.note(FactOptions.leftOut(left)) }
    guard !usable.joined().isEmpty else {
      throw InputError("There is no fact to locate: what was asked for selects none.")
    }
    let file = try attributions.map { try AttributionFile(URL(filePath: $0), method: options.method) }
    if file != nil, options.method == .attribution(.adaptive), !printing.quiet {
      Console.note(
        "The rule adaptive takes scores roughly, and those that refined sets hang on apart; for scores to publish take "
          + "--rule gauss-legendre --steps 8.")
    }
    let total = zip(relations, usable).reduce(0) { $0 + $1.1.count * $1.0.templates.count }
    let progress = Progress("Locating (prompts)", total: total, quiet: printing.quiet)
    var before = 0
    var located: [LocatedRelation] = []
    // The memory of one relation's matrices serves the next one's.
    try withMatrixMemory(of: options.memory.bytes) {
      for (relation, facts) in zip(relations, usable) {
        located.append(
          try opened.locate(
            facts.map { ($0, relation.prompts(for: $0)) }, relation: relation.name, method: options.method,
            threads: model.threadCount, memory: options.memory.bytes,
            scores: { index, scores in
              try file?.write(scores, of: facts[index], prompts: relation.prompts(for: facts[index]), index: index)
            }, progress: { progress.update(before + $0) }))
        before += facts.count * relation.templates.count
      }
    }
    try file?.finish()
    opened.noteChange()
    let document = LocatedRelations(relations: located)
    if printing.format == .json {
      return try Console.deliver(String(decoding: document.json(), as: UTF8.self), to: result.output)
    }
    let blocks = located.map { relation in
      var table = Table(["subject", "answer", "neurons (layer:index, layers from 0; prompts)"])
      for fact in relation.facts {
        table.add(
          fact.subject, fact.answer,
          fact.neurons.isEmpty
            ? "none" : fact.neurons.map { "\($0.layer):\($0.index) (\($0.prompts))" }.joined(separator: " "))
      }
      let rule = relation.steps > 0 ? "\(relation.rule), \(relation.steps) steps" : relation.rule
      let size = String(format: "%.2f", relation.meanSize)
      return Console.bold(relation.relation, to: result.output) + "  \(rule), p \(String(format: "%.2f", relation.p)), "
        + "\(size) neurons a fact\n" + table.text
    }
    try Console.deliver(blocks.joined(separator: "\n\n"), to: result.output)
  }
}
