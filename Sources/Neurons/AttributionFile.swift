import Attribution
import BERT
import Checkpoint
import Foundation
import HDF5
import Relations

/// An HDF5 file that takes the scores of located facts; it appears at its place when all are in it.
public final class AttributionFile: Sendable {
  private let file: File
  private let temporary: URL
  private let target: URL

  /// Begins a file beside its place, with how its scores are taken in the attributes `rule` and `steps` of its root.
  ///
  /// - Throws: `CheckpointError` where it would replace what may be part of a model, `HDF5Error` where it cannot be
  ///   created.
  public init(_ url: URL, method: LocatingMethod) throws {
    // A link's target is replaced, and the link stays.
    target = url.resolvingSymlinksInPath()
    try Checkpoint.requireNoPart(target)
    let existing = try? FileManager.default.attributesOfItem(atPath: target.path)[.type] as? FileAttributeType
    guard existing == nil || existing == .typeRegular else {
      throw CheckpointError.cannotWrite(path: url.path, reason: "it is no regular file")
    }
    temporary = PartialFiles.begin(beside: target)
    do { file = try File.create(temporary) } catch {
      PartialFiles.discard(temporary)
      throw HDF5Error(action: error.action, file: url.path, object: error.object, reason: error.reason)
    }
    try atPlace { () throws(HDF5Error) in
      try file.setAttribute("rule", to: method.name)
      try file.setAttribute("steps", to: "\(method.steps)")
    }
  }

  deinit { PartialFiles.discard(temporary) }

  /// Writes the scores of one fact's prompts as `RELATION/INDEX/scores`, `[prompt, layer, neuron]` float32.
  ///
  /// The group `RELATION/INDEX` carries the attributes `subject`, `answer` and `prompts`; INDEX counts the facts located.
  public func write(_ scores: [AttributionScores], of fact: Fact, prompts: [String], index: Int) throws(HDF5Error) {
    guard let first = scores.first else { return }
    try atPlace { () throws(HDF5Error) in
      let group = "\(fact.relation)/\(index)"
      try file.createGroup(group)
      try file.setAttribute("subject", of: group, to: fact.subject)
      try file.setAttribute("answer", of: group, to: fact.answer)
      try file.setAttribute("prompts", of: group, to: prompts)
      _ = try file.createDataset(
        group + "/scores", shape: [scores.count, first.layers, first.neurons], values: scores.flatMap(\.values))
    }
  }

  /// Runs `body`, whose failures are told of the file's place and not of where it is being written.
  private func atPlace(_ body: () throws(HDF5Error) -> Void) throws(HDF5Error) {
    do throws(HDF5Error) { try body() } catch {
      throw HDF5Error(action: error.action, file: target.path, object: error.object, reason: error.reason)
    }
  }

  /// Closes the file and puts it at its place, where it replaces one that is there.
  ///
  /// - Throws: `HDF5Error` where not all could be written, `CheckpointError.cannotWrite` where it cannot be put there.
  public func finish() throws {
    try atPlace { () throws(HDF5Error) in try file.close() }
    try PartialFiles.synchronize(temporary)
    try PartialFiles.finish([(temporary, target)])
  }
}
