import Editing

/// What an edit would do, before anything is written.
public protocol EditPlan: Sendable {
  /// The record but for the checkpoint that is yet to be written.
  var record: EditRecord { get set }
  /// What of `limits` the edit misses, in words; nil when it holds.
  func shortfall(_ limits: EditLimits) -> String?
}

extension EditPlan {
  /// The same plan with what `limits` ask and what it misses of them in its record.
  public func judged(by limits: EditLimits) -> Self {
    var result = self
    result.record.limits = limits
    result.record.shortfall = shortfall(limits)
    return result
  }
}

extension EditLimits {
  /// What falls short of an update, in words; nil when the edit holds.
  func shortfall(success reached: Double, _ effects: SideEffects) -> String? {
    var parts: [String] = []
    if reached < success - 1e-9 {
      parts.append("the new answer comes first on \(percent(reached)) of the prompts, not \(percent(success))")
    }
    for (part, where_) in [
      (effects.sameRelation, "the relation's other facts"), (effects.otherRelations, "other relations"),
    ] {
      guard let part, part.keptOfRight ?? part.kept < kept - 1e-9 else { continue }
      let of = part.keptOfRight == nil ? "prompts" : "rightly answered prompts"
      parts.append(
        "the first answer stays on \(percent(part.keptOfRight ?? part.kept)) of the \(of) on \(where_), not "
          + percent(kept))
    }
    return parts.isEmpty ? nil : parts.joined(separator: ", and ")
  }

  /// What falls short of an erasure, in words; nil when the edit holds.
  func shortfall(_ erasure: ErasureEvaluation) -> String? {
    var parts: [String] = []
    if let reached = erasure.successRate {
      if reached < success - 1e-9 {
        parts.append("\(percent(reached)) of the prompts that were right are wrong now, not \(percent(success))")
      }
    } else if success > 0 {
      parts.append("the model answered none of the prompts rightly before, so that there was nothing to forget")
    }
    if let before = erasure.interAccuracyBefore, let after = erasure.interAccuracyAfter, after < before * kept - 1e-9 {
      parts.append("\(percent(after / before)) of other relations' accuracy is left, not \(percent(kept))")
    }
    if let others = erasure.otherFacts, others.accuracyAfter < others.accuracyBefore * kept - 1e-9 {
      parts.append(
        "\(percent(others.accuracyAfter / others.accuracyBefore)) of the accuracy on the relation's other facts is left, not "
          + percent(kept))
    }
    return parts.isEmpty ? nil : parts.joined(separator: ", and ")
  }

  /// In per cent, rounded down to a tenth, so that what falls short never looks as if it did not.
  private func percent(_ value: Double) -> String {
    let tenths = Int((1000 * value + 1e-6).rounded(.down))
    return tenths.isMultiple(of: 10) ? "\(tenths / 10) %" : "\(tenths / 10).\(tenths % 10) %"
  }
}
