import Attribution
import BERT
import Foundation
import HDF5
import Relations

extension File {
  /// Writes the scores of one fact's prompts as `RELATION/INDEX/scores`, `[prompt, layer, neuron]` float32.
  ///
  /// The group `RELATION/INDEX` carries the attributes `subject`, `answer` and `prompts`; INDEX counts the facts located.
  public func write(_ scores: [AttributionScores], of fact: Fact, prompts: [String], index: Int) throws(HDF5Error) {
    guard let first = scores.first else { return }
    let group = "\(fact.relation)/\(index)"
    if !contains(fact.relation) { try createGroup(fact.relation) }
    try createGroup(group)
    try setAttribute("subject", of: group, to: fact.subject)
    try setAttribute("answer", of: group, to: fact.answer)
    try setAttribute("prompts", of: group, to: prompts)
    _ = try createDataset(
      group + "/scores", shape: [scores.count, first.layers, first.neurons], values: scores.flatMap(\.values))
  }
}

extension MaskedLanguageModel {
  /// Whether this model's vocabulary can spell the fact's answer.
  public func canAnswer(_ fact: Fact) -> Bool { (try? pieces(of: fact.answer)) != nil }
}
