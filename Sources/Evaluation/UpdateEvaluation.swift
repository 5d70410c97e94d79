import BERT
import Checkpoint
import Foundation
import Kernels
import Relations

/// What the model says to one prompt of an updated fact.
public struct PromptOutcome: Sendable, Hashable, Codable {
  /// The prompt.
  public let prompt: String
  /// P(old answer) before and after.
  public let oldProbabilityBefore, oldProbabilityAfter: Double
  /// P(new answer) before and after.
  public let newProbabilityBefore, newProbabilityAfter: Double
  /// Rank of the new answer before and after, 1 the best.
  public let newRankBefore, newRankAfter: Int
  /// The arg-max before and after.
  public let bestBefore, bestAfter: String
}

/// What an update of one fact did (Dai et al 2022, table 6).
public struct UpdateEvaluation: Sendable, Hashable, Codable {
  /// 1 when the edited prompt's arg-max is no longer the old answer, else 0.
  public let changeRate: Double
  /// 1 when the edited prompt's arg-max is the new answer, else 0.
  public let successRate: Double
  /// Share of all the fact's prompts whose arg-max is no longer the old answer.
  public let paraphraseChangeRate: Double
  /// Share of all the fact's prompts whose arg-max is the new answer.
  public let paraphraseSuccessRate: Double
  /// Perplexity over the prompts of other facts of the relation.
  public let intraPerplexityBefore, intraPerplexityAfter: Double
  /// Perplexity over the prompts of facts of other relations.
  public let interPerplexityBefore, interPerplexityAfter: Double
  /// Share of the prompts of other facts of the relation whose arg-max stayed what it was.
  public let intraKept: Double
  /// Share of the prompts of facts of other relations whose arg-max stayed what it was.
  public let interKept: Double
  /// The edited prompt.
  public let edited: PromptOutcome
  /// All prompts of the fact.
  public let paraphrases: [PromptOutcome]

  /// After less before.
  public var intraPerplexityChange: Double { intraPerplexityAfter - intraPerplexityBefore }
  /// After less before.
  public var interPerplexityChange: Double { interPerplexityAfter - interPerplexityBefore }

  /// Compares two models on the prompts of a fact whose answer went from `old` to `new`.
  ///
  /// - Parameters:
  ///   - editedPrompt: The prompt judged first.
  ///   - prompts: All prompts of the fact.
  ///   - intra: Questions on other facts of the relation.
  ///   - inter: Questions on facts of other relations.
  public init(
    before: MaskedLanguageModel, after: MaskedLanguageModel, editedPrompt: String, prompts: [String], old: String,
    new: String, intra: [Question], inter: [Question], threads: ThreadCount = .allCores
  ) throws {
    let all = [editedPrompt] + prompts
    let encoded = try all.map { try before.encode($0) }
    let (oldID, newID) = (try before.answer(old), try before.answer(new))
    func outcomes(_ model: MaskedLanguageModel) -> [(old: Double, new: Double, rank: Int, best: Int)] {
      model.bert.predict(encoded, threads: threads) { _, prediction in
        (
          prediction.probability(of: oldID), prediction.probability(of: newID), prediction.rank(of: newID),
          prediction.best
        )
      }
    }
    let (first, second) = (outcomes(before), outcomes(after))
    let rows = all.indices.map { index in
      PromptOutcome(
        prompt: all[index], oldProbabilityBefore: first[index].old, oldProbabilityAfter: second[index].old,
        newProbabilityBefore: first[index].new, newProbabilityAfter: second[index].new,
        newRankBefore: first[index].rank, newRankAfter: second[index].rank,
        bestBefore: before.piece(first[index].best), bestAfter: before.piece(second[index].best))
    }
    edited = rows[0]
    paraphrases = Array(rows.dropFirst())
    changeRate = second[0].best != oldID ? 1 : 0
    successRate = second[0].best == newID ? 1 : 0
    let rest = second.dropFirst()
    let count = Double(max(1, rest.count))
    paraphraseChangeRate = Double(rest.count { $0.best != oldID }) / count
    paraphraseSuccessRate = Double(rest.count { $0.best == newID }) / count
    func compare(_ questions: [Question]) throws -> (before: Double, after: Double, kept: Double) {
      let (old, new) = (
        try before.answerFigures(questions, threads: threads), try after.answerFigures(questions, threads: threads)
      )
      let kept = zip(old.best, new.best).count { $0 == $1 }
      return (old.perplexity, new.perplexity, Double(kept) / Double(max(1, questions.count)))
    }
    (intraPerplexityBefore, intraPerplexityAfter, intraKept) = try compare(intra)
    (interPerplexityBefore, interPerplexityAfter, interKept) = try compare(inter)
  }
}
