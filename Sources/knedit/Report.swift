import Benchmark
import Evaluation
import Foundation
import Kernels
import Neurons

/// Evaluations as tables for people.
enum Report {
  static func neurons(_ neurons: [Neuron]) -> String {
    "\(neurons.count) value slots (layer:index): " + neurons.map { "\($0.layer):\($0.index)" }.joined(separator: " ")
  }

  static func update(_ e: UpdateEvaluation, control: UpdateEvaluation? = nil) -> String {
    var prompts = Table(["prompt", "said", "says", "P(old)", "", "P(new)", "", "rank"], right: [3, 4, 5, 6, 7])
    let others = e.paraphrases.filter { $0.prompt != e.edited.prompt }
    for (mark, row) in [("* ", e.edited)] + others.map({ ("  ", $0) }) + e.heldBack.map({ ("° ", $0) }) {
      prompts.add(
        mark + row.prompt, row.bestBefore, row.bestAfter, Console.percent(row.oldProbabilityBefore),
        "→ " + Console.percent(row.oldProbabilityAfter), Console.percent(row.newProbabilityBefore),
        "→ " + Console.percent(row.newProbabilityAfter), "\(row.newRankAfter)")
    }
    var figures = Table(["", "this edit", control == nil ? "" : "random neurons"], right: [1, 2])
    func add(_ name: String, _ value: (UpdateEvaluation) -> String) {
      figures.add(name, value(e), control.map(value) ?? "")
    }
    add("changed, edited prompt (*)") { $0.changeRate == 1 ? "yes" : "no" }
    add("succeeded, edited prompt (*)") { $0.successRate == 1 ? "yes" : "no" }
    add("changed, all prompts") { Console.percent($0.paraphraseChangeRate) }
    add("succeeded, all prompts") { Console.percent($0.paraphraseSuccessRate) }
    if e.heldBackSuccessRate != nil {
      add("succeeded, held back (°)") { $0.heldBackSuccessRate.map(Console.percent) ?? "" }
    }
    for row in rows(e.sideEffects, control: control?.sideEffects, of: "relation") { figures.add(row) }
    add("value slots changed, ‖Δ‖") { "\($0.slots), \(Console.number($0.changeNorm))" }
    return prompts.text + "\n\n" + figures.text + "\n\n" + summary(e)
  }

  static func batch(_ e: BatchEvaluation, control: BatchEvaluation? = nil) -> String {
    var edits = Table(["relation", "subject", "was", "shall be", "succeeded", "held back"], right: [4, 5])
    for row in e.edits.prefix(longestList) {
      edits.add(
        row.relation, row.subject, row.oldAnswer, row.newAnswer, Console.percent(row.successRate),
        row.heldBackSuccessRate.map(Console.percent) ?? "–")
    }
    let rest = e.edits.count > longestList ? "\n… and \(e.edits.count - longestList) more" : ""
    var figures = Table(["", "this edit", control == nil ? "" : "random neurons"], right: [1, 2])
    func add(_ name: String, _ value: (BatchEvaluation) -> String) {
      figures.add(name, value(e), control.map(value) ?? "")
    }
    add("edits that hold on every prompt") { Console.percent($0.holding) }
    add("succeeded, all prompts") { Console.percent($0.successRate) }
    if e.heldBackSuccessRate != nil {
      add("succeeded, held back") { $0.heldBackSuccessRate.map(Console.percent) ?? "" }
    }
    for row in rows(e.sideEffects, control: control?.sideEffects, of: "relations") { figures.add(row) }
    add("value slots changed, ‖Δ‖") { "\($0.slots), \(Console.number($0.changeNorm))" }
    return edits.text + rest + "\n\n" + figures.text
  }

  /// A row for each side effect that was found, with the control's beside it.
  private static func rows(_ effects: SideEffects, control: SideEffects?, of relation: String) -> [[String]] {
    func perplexity(_ part: Locality) -> String {
      "\(Console.number(part.perplexityBefore)) → \(Console.number(part.perplexityAfter))"
    }
    func kept(_ part: Locality) -> String { Console.percent(part.kept) }
    func divergence(_ part: Locality) -> String { Console.number(part.divergence) }
    let all: [(name: String, value: (SideEffects) -> String?)] = [
      ("inverse relation follows", { $0.portability.map(Console.percent) }),
      ("perplexity, same \(relation)", { $0.sameRelation.map(perplexity) }),
      ("perplexity, other relations", { $0.otherRelations.map(perplexity) }),
      ("first answer kept, same subject", { $0.sameSubject.map(kept) }),
      ("first answer kept, same \(relation)", { $0.sameRelation.map(kept) }),
      ("  where it was right", { $0.sameRelation?.keptOfRight.map(Console.percent) }),
      ("first answer kept, other relations", { $0.otherRelations.map(kept) }),
      ("  where it was right", { $0.otherRelations?.keptOfRight.map(Console.percent) }),
      ("divergence (nats), same subject", { $0.sameSubject.map(divergence) }),
      ("divergence (nats), same \(relation)", { $0.sameRelation.map(divergence) }),
      ("divergence (nats), other relations", { $0.otherRelations.map(divergence) }),
    ]
    return all.compactMap { name, value in value(effects).map { [name, $0, control.flatMap(value) ?? ""] } }
  }

  /// Rows of a list that people would read.
  private static let longestList = 20

  /// What became of an update's prompts, in one sentence.
  private static func summary(_ e: UpdateEvaluation) -> String {
    let count = e.paraphrases.count
    let won = Int((e.paraphraseSuccessRate * Double(count)).rounded())
    let kept = count - Int((e.paraphraseChangeRate * Double(count)).rounded())
    return "The new answer comes first on \(won) of \(count) prompts, the old one still on \(kept)."
  }

  /// What became of an erased relation's prompts, in one sentence.
  private static func summary(_ e: ErasureEvaluation) -> String {
    var others = ""
    if let before = e.interPerplexityBefore, let after = e.interPerplexityAfter {
      others = " and \(Console.change(before, after)) in others"
    }
    let forgotten =
      e.successRate.map { "\(Console.percent($0)) of the prompts that were right are wrong now" }
      ?? "No prompt was right before"
    return "\(forgotten); perplexity went "
      + "\(Console.change(e.intraPerplexityBefore, e.intraPerplexityAfter)) in the relation\(others)."
  }

  static func erasure(_ e: ErasureEvaluation, control: ErasureEvaluation? = nil) -> String {
    var figures = Table(["", "this edit", control == nil ? "" : "random neurons"], right: [1, 2])
    func add(_ name: String, _ value: (ErasureEvaluation) -> String?) {
      if let own = value(e) { figures.add(name, own, control.flatMap(value) ?? "") }
    }
    func perplexity(_ before: Double?, _ after: Double?) -> String? {
      guard let before, let after else { return nil }
      return "\(Console.number(before)) → \(Console.number(after)) (\(Console.change(before, after)))"
    }
    func accuracy(_ before: Double?, _ after: Double?) -> String? {
      guard let before, let after else { return nil }
      return "\(Console.percent(before)) → \(Console.percent(after))"
    }
    add(e.otherFacts == nil ? "perplexity, the relation" : "perplexity, these facts") {
      perplexity($0.intraPerplexityBefore, $0.intraPerplexityAfter)
    }
    add("perplexity, other relations") { perplexity($0.interPerplexityBefore, $0.interPerplexityAfter) }
    add("  where it was right") { perplexity($0.interPerplexityBeforeOfRight, $0.interPerplexityAfterOfRight) }
    add("perplexity, its other facts") { perplexity($0.otherFacts?.before, $0.otherFacts?.after) }
    add(e.otherFacts == nil ? "accuracy, the relation" : "accuracy, these facts") {
      accuracy($0.intraAccuracyBefore, $0.intraAccuracyAfter)
    }
    add("rank among the relation's \(e.answerCount) answers") {
      guard $0.answerCount > 1, let before = $0.intraRankBefore, let after = $0.intraRankAfter else { return nil }
      return String(format: "%g → %g", before, after)
    }
    add("perplexity, held back") { perplexity($0.heldBack?.perplexityBefore, $0.heldBack?.perplexityAfter) }
    add("accuracy, held back") { accuracy($0.heldBack?.accuracyBefore, $0.heldBack?.accuracyAfter) }
    add("rank, held back") { e in
      guard e.answerCount > 1, let before = e.heldBack?.rankBefore, let after = e.heldBack?.rankAfter else {
        return nil
      }
      return String(format: "%g → %g", before, after)
    }
    add("accuracy, other relations") { accuracy($0.interAccuracyBefore, $0.interAccuracyAfter) }
    add("accuracy, its other facts") { accuracy($0.otherFacts?.accuracyBefore, $0.otherFacts?.accuracyAfter) }
    add("right before, wrong now") { $0.successRate.map(Console.percent) }
    add("  held back") { $0.heldBack?.successRate.map(Console.percent) }
    add("largest rise of a relation's perplexity") { e in
      e.mostDisturbed.map { String(format: "%+.1f %%", 100 * (e.largestRise ?? 0)) + " (\($0.relation))" }
    }
    add("  where it was right") { e in
      e.mostDisturbedOfRight.map { String(format: "%+.1f %%", 100 * $0.rise) + " (\($0.relation))" }
    }
    add("value slots changed, ‖Δ‖") { "\($0.slots), \(Console.number($0.changeNorm))" }
    return figures.text + "\n\n" + summary(e)
  }

  static func knowledge(_ relations: [RelationKnowledge]) -> String {
    var table = Table(
      ["relation", "facts", "prompts", "perplexity", "accuracy", "rank", "of answers", "their P", "says most"],
      right: Set(1..<8))
    for one in relations {
      let figures = one.before
      table.add(
        one.relation, "\(one.facts)", "\(one.prompts)", Console.number(figures.perplexity),
        Console.percent(figures.accuracy), String(format: "%g", figures.rank), "\(one.answerCount)",
        Console.percent(figures.together), said(figures))
    }
    return table.text
  }

  /// Two models side by side, what rose most first.
  static func comparison(_ relations: [RelationKnowledge]) -> String {
    var table = Table(
      [
        "relation", "prompts", "perplexity", "", "rise", "where right", "accuracy", "", "lost", "rank", "",
        "of answers",
        "their P", "", "says most now",
      ], right: Set(1..<14))
    for one in relations.sorted(by: { $0.rise ?? 0 > $1.rise ?? 0 }) {
      guard let after = one.after, let rise = one.rise else { continue }
      table.add(
        one.relation, "\(one.prompts)", Console.number(one.before.perplexity), "→ " + Console.number(after.perplexity),
        risen(rise), one.riseOfRight.map(risen) ?? "–", Console.percent(one.before.accuracy),
        "→ " + Console.percent(after.accuracy), one.lost.map(Console.percent) ?? "–",
        String(format: "%g", one.before.rank), String(format: "→ %g", after.rank), "\(one.answerCount)",
        Console.percent(one.before.together), "→ " + Console.percent(after.together), said(after))
    }
    return table.text
  }

  private static func risen(_ rise: Double) -> String { String(format: "%+.2f %%", 100 * rise) }

  private static func said(_ figures: RelationKnowledge.Figures) -> String {
    figures.said.map { "\($0.answer) \(Int((100 * $0.share).rounded())) %" }.joined(separator: ", ")
  }

  static func benchmark(_ b: EngineBenchmark) -> String {
    var summary = Table([])
    summary.add("instructions", b.instructions)
    summary.add("threads", "\(b.threads)")
    summary.add(
      "products",
      String(format: "%.0f GFLOP/s, float32, one layer's shapes, %d rows a thread", b.productRate, b.productRows))
    if let peak = b.peakMemory { summary.add("peak memory", "\(peak >> 20) MB resident") }
    var passes = Table(
      ["pass", "prompts", "s/prompt", "prompts/s", "GFLOP", "in bfloat16", "GFLOP/s", "of floor"]
        + WorkKind.allCases.map(\.rawValue), right: Set(1..<14))
    for pass in b.passes {
      passes.add(
        [
          pass.name, "\(pass.prompts)", String(format: "%.4f", pass.seconds), String(format: "%.1f", 1 / pass.seconds),
          String(format: pass.gigaOperations < 1 ? "%.2g" : "%.1f", pass.gigaOperations),
          String(format: "%.0f %%", 100 * pass.roundedGigaOperations / pass.gigaOperations),
          String(format: "%.0f", pass.rate),
          String(format: "%.0f %%", 100 * pass.shareOfFloor),
        ] + WorkKind.allCases.map { String(format: "%.1f %%", 100 * (pass.work[$0.rawValue] ?? 0)) })
    }
    return summary.text + "\n\n" + passes.text
  }
}
