import ArgumentParser
import Attribution
import BERT
import Benchmark
import Foundation
import Relations

struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measure how fast a checkpoint's passes run here, against matrix products alone.",
    discussion: "Machines are noisy; compare figures of one run with each other, not those of two runs.")

  @Argument(help: "Sentences with one [MASK] each. Default: prompts of the relations' first facts.")
  var text: [String] = []

  @Option(help: "Rules to time, with points where they take any: riemann:20, gauss-legendre:4, adaptive.")
  var rule = ["riemann:20", "adaptive"]

  @Option(parsing: .unconditional, help: "Runs of each, of which the median counts.")
  var repeats = 5

  @Option(
    parsing: .unconditional,
    help: "How many prompts to take, without sentences: of each relation's first fact, one wording after another.")
  var limit = 8

  @OptionGroup var memory: MemoryOptions
  @OptionGroup var model: ModelOptions
  @OptionGroup var relations: RelationOptions
  @OptionGroup var printing: PrintOptions
  @OptionGroup var result: ResultFileOptions

  func validate() throws {
    _ = try rules()
    guard (1...1000).contains(repeats) else { throw ValidationError("--repeats must lie between 1 and 1000.") }
    guard limit >= 1 else { throw ValidationError("--limit must be at least 1.") }
  }

  private func rules() throws -> [AttributionRule] {
    try rule.map { text in
      let parts = text.split(separator: ":", maxSplits: 1)
      let steps = parts.count > 1 ? Int(parts[1]) : AttributionRule.publishedSteps
      guard let name = parts.first, let steps, LocateOptions.pointCounts.contains(steps),
        let rule = AttributionRule(name: String(name), steps: steps), rule.steps > 0 || parts.count == 1
      else {
        throw ValidationError(
          "“\(text)” is no rule; give adaptive, or one of \(AttributionRule.names.dropFirst().joined(separator: ", ")) with "
            + ":POINTS, 1 to 10000."
        )
      }
      return rule
    }
  }

  func run() throws {
    try result.check(others: [model.model] + ((try? relations.path()).map(RelationOptions.files) ?? []))
    let opened = try model.openModel(quiet: printing.quiet)
    var prompts = text
    if prompts.isEmpty {
      let catalogue = try relations.open()
      let wordings = try catalogue.names.compactMap { name in
        let relation = try catalogue.relation(named: name)
        return relation.facts.first.map { relation.prompts(for: $0) }
      }
      let rounds = (0..<(wordings.map(\.count).max() ?? 0)).lazy.flatMap { round in
        wordings.lazy.filter { round < $0.count }.map { $0[round] }
      }
      prompts = Array(rounds.prefix(limit))
      guard !prompts.isEmpty else {
        throw InputError("The relations have no facts to make prompts of; give sentences with [MASK].")
      }
    }
    // Speed does not depend on the answer; the model's own first answer will do.
    let encoded = try prompts.map { try opened.encode($0) }
    let best = opened.bert.predict(encoded, threads: model.threadCount) { $1.best }
    let benchmark = EngineBenchmark(
      opened.bert, targets: zip(encoded, best).map { AttributionTarget(prompt: $0, answer: $1) }, rules: try rules(),
      repeats: repeats, threads: model.threadCount, memory: memory.bytes
    ) { if !printing.quiet { Console.note("Measuring \($0)") } }
    if printing.format == .json {
      return try Console.deliver(String(decoding: benchmark.json(), as: UTF8.self), to: result.output)
    }
    try Console.deliver(Report.benchmark(benchmark), to: result.output)
  }
}
