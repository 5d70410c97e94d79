import ArgumentParser
import Attribution
import Neurons

/// How neurons are located.
struct LocateOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "How the integral is taken: \(AttributionRule.names.joined(separator: ", ")). "
        + "Default: adaptive, or with --steps the paper's sum, riemann."))
  var rule: String?

  @Option(
    parsing: .unconditional,
    help:
      "Points on the path, for the rules that take a number of them. Default: \(AttributionRule.publishedSteps), as in the paper."
  )
  var steps: Int?

  @Flag(help: "Locate by activation alone, the paper's baseline.")
  var baseline = false

  @OptionGroup var memory: MemoryOptions

  /// Numbers of points that a rule may be given.
  static let pointCounts = 1...10_000

  func validate() throws {
    guard rule.map(AttributionRule.names.contains) ?? true else {
      throw ValidationError("--rule is one of \(AttributionRule.names.joined(separator: ", ")).")
    }
    guard steps.map(Self.pointCounts.contains) ?? true else {
      throw ValidationError("--steps must lie between 1 and 10000.")
    }
    guard steps == nil || rule != AttributionRule.adaptive.name else {
      throw ValidationError("--rule adaptive chooses its points itself; leave --steps out, or name another rule.")
    }
    if baseline, let option = given.first {
      throw ValidationError("--baseline takes no integral: leave out \(option).")
    }
  }

  /// Those given that say how the integral is taken.
  private var given: [String] { [rule.map { _ in "--rule" }, steps.map { _ in "--steps" }].compactMap { $0 } }

  /// Refuses what means nothing where neurons are given, among `optimization`, the options of an optimised edit, too.
  func requireNoneBesideNeurons(optimization: [String]) throws {
    let choosing = optimization.first { ["--layers", "--subject-layers"].contains($0) }
    if let option = given.first ?? (baseline ? "--baseline" : nil) ?? choosing {
      throw ValidationError("--neurons says which neurons to take, so that none are located: leave out \(option).")
    }
  }

  var method: LocatingMethod {
    if baseline { return .baseline }
    let name = rule ?? (steps == nil ? AttributionRule.adaptive : .riemann(steps: AttributionRule.publishedSteps)).name
    return .attribution(AttributionRule(name: name, steps: steps ?? AttributionRule.publishedSteps) ?? .adaptive)
  }
}
