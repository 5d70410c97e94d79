import Attribution
import BERT
import Checkpoint
import Foundation
import HDF5
import Relations

#if canImport(Glibc)
  import Glibc
#endif

/// An HDF5 file that takes the scores of located facts; it appears at its place when all are in it.
public final class AttributionFile: Sendable {
  private let file: File
  private let temporary: URL
  private let target: URL

  /// Begins a file beside its place.
  ///
  /// - Throws: `CheckpointError` where it would replace what may be part of a model, `HDF5Error` where it cannot be
  ///   created.
  public init(_ url: URL) throws {
    try Checkpoint.requireNoPart(url)
    target = url
    temporary = url.deletingLastPathComponent().appending(
      path: ".\(url.lastPathComponent).\(UUID().uuidString).partial")
    file = try File.create(temporary)
  }

  deinit { try? FileManager.default.removeItem(at: temporary) }

  /// Writes the scores of one fact's prompts as `RELATION/INDEX/scores`, `[prompt, layer, neuron]` float32.
  ///
  /// The group `RELATION/INDEX` carries the attributes `subject`, `answer` and `prompts`; INDEX counts the facts located.
  public func write(_ scores: [AttributionScores], of fact: Fact, prompts: [String], index: Int) throws(HDF5Error) {
    guard let first = scores.first else { return }
    let group = "\(fact.relation)/\(index)"
    if !file.contains(fact.relation) { try file.createGroup(fact.relation) }
    try file.createGroup(group)
    try file.setAttribute("subject", of: group, to: fact.subject)
    try file.setAttribute("answer", of: group, to: fact.answer)
    try file.setAttribute("prompts", of: group, to: prompts)
    _ = try file.createDataset(
      group + "/scores", shape: [scores.count, first.layers, first.neurons], values: scores.flatMap(\.values))
  }

  /// Closes the file and puts it at its place, where it replaces one that is there.
  ///
  /// - Throws: `HDF5Error` where not all could be written, `CheckpointError.cannotWrite` where it cannot be put there.
  public func finish() throws {
    try file.close()
    guard rename(temporary.path, target.path) == 0 else {
      throw CheckpointError.cannotWrite(path: target.path, reason: String(cString: strerror(errno)))
    }
  }
}
