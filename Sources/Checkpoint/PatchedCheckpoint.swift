import Foundation
import HDF5

#if canImport(Glibc)
  import Glibc
#endif

extension Checkpoint {
  /// Files that make a directory load in Transformers, copied beside the weights where the source has them.
  public static let companions = [
    "config.json", "vocab.txt", "tokenizer_config.json", "tokenizer.json", "special_tokens_map.json",
    "added_tokens.json", "generation_config.json",
  ]

  /// What names of weights files end in.
  private static let weightsExtensions: Set = ["h5", "hdf5", "safetensors", "bin"]

  /// The names of the files that ``writePatched(_:to:overwrite:beside:)`` writes, the weights last.
  public var patchedFiles: [String] {
    let weights = weightsFile.lastPathComponent
    return Self.companions.filter {
      var isDirectory: ObjCBool = false
      let path = directory.appending(path: $0).path
      return $0 != weights && FileManager.default.fileExists(atPath: path, isDirectory: &isDirectory)
        && !isDirectory.boolValue
    } + [weights]
  }

  /// Refuses a file that results would replace where it may be part of a model.
  ///
  /// - Throws: ``CheckpointError/wouldReplace(path:)`` where it exists, config.json lies beside it, and its name is that of
  ///   weights, of a file that goes with them, or of an edit's record.
  public static func requireNoPart(_ url: URL) throws(CheckpointError) {
    let isPart =
      weightsExtensions.contains(url.pathExtension)
      || (companions + ["edit.json"]).contains(url.lastPathComponent)
    let configuration = url.deletingLastPathComponent().appending(path: "config.json")
    guard
      !isPart || [url, configuration].contains(where: { !FileManager.default.fileExists(atPath: $0.path) })
    else { throw .wouldReplace(path: url.path) }
  }

  /// Refuses what ``writePatched(_:to:overwrite:beside:)`` would refuse whatever the slots, before any work is done.
  ///
  /// - Throws: ``CheckpointError/inexact(path:tensor:storage:)``, ``CheckpointError/outputExists(path:)``,
  ///   ``CheckpointError/outputIsSource(path:)`` or
  ///   ``CheckpointError/cannotWrite(path:reason:)``.
  public func checkOutput(_ output: URL, overwrite: Bool) throws(CheckpointError) {
    for layer in 0..<configuration.layerCount {
      let entry = try entry(TensorRole.output(layer: layer, configuration).description)
      guard entry.isExact else { throw .inexact(path: weightsFile.path, tensor: entry.name, storage: entry.storage) }
    }
    let written = output.appending(path: weightsFile.lastPathComponent)
    for (one, other) in [(output, directory), (written, weightsFile)] {
      if let one = FileState(one), let other = FileState(other), one.isSameFile(as: other) {
        throw .outputIsSource(path: output.path)
      }
    }
    var isDirectory: ObjCBool = false
    if FileManager.default.fileExists(atPath: output.path, isDirectory: &isDirectory) {
      guard isDirectory.boolValue else {
        throw .cannotWrite(path: output.path, reason: "it is a file, where a directory is to be")
      }
      let contents = (try? FileManager.default.contentsOfDirectory(atPath: output.path)) ?? []
      if let unfinished = contents.first(where: PartialFiles.isName) {
        throw .cannotWrite(
          path: output.path,
          reason:
            "another command is writing there, or was killed at it and left \(unfinished); remove that where none is, or "
            + "choose another directory")
      }
      guard overwrite || contents.isEmpty else { throw .outputExists(path: output.path) }
      guard FileManager.default.isWritableFile(atPath: output.path) else {
        throw .cannotWrite(path: output.path, reason: "this user may not write there")
      }
      let stale = contents.filter {
        $0 != weightsFile.lastPathComponent && !$0.hasPrefix(".")
          && Self.weightsExtensions.contains(URL(filePath: $0).pathExtension)
      }
      guard stale.isEmpty else {
        throw .cannotWrite(
          path: output.path,
          reason:
            "it holds other weights (\(stale.sorted().joined(separator: ", "))), beside which it would not be "
            + "plain which are meant; remove them or choose another directory")
      }
    } else {
      guard (try? FileManager.default.destinationOfSymbolicLink(atPath: output.path)) == nil else {
        throw .cannotWrite(path: output.path, reason: "it is a link to what is not there")
      }
      var ancestor = output.standardizedFileURL
      repeat {
        ancestor.deleteLastPathComponent()
      } while !FileManager.default.fileExists(atPath: ancestor.path)
      _ = FileManager.default.fileExists(atPath: ancestor.path, isDirectory: &isDirectory)
      guard isDirectory.boolValue else {
        throw .cannotWrite(path: output.path, reason: "\(ancestor.path) is a file, not a directory")
      }
      guard FileManager.default.isWritableFile(atPath: ancestor.path) else {
        throw .cannotWrite(path: output.path, reason: "this user may not write in \(ancestor.path)")
      }
    }
  }

  /// Writes a copy of the checkpoint in which some value slots are replaced.
  ///
  /// Every file is copied byte by byte beside its target, the slots are written into the copy of the weights in its
  /// own layout and number format, and when all is on disk the copies are renamed into place, the weights last. So
  /// neither the source nor a half-written file is ever at risk. Configuration, vocabulary and tokenizer files are
  /// copied along, and a document about what was written can be.
  /// - Parameters:
  ///   - slots: The new rows of W2, each neuron at most once.
  ///   - output: The directory to write, made where it does not exist.
  ///   - overwrite: Whether files that exist there are replaced; companions that the source lacks are removed, all others
  ///     stay.
  ///   - document: A file to write beside the weights, from the SHA-256 that these will have.
  /// - Returns: The weights file written.
  /// - Throws: ``CheckpointError``, also where the source is no longer what was opened; nothing is left behind then, unless the file system fails between two renames, when
  ///   some of the small files may be new and the weights are not.
  @discardableResult
  public func writePatched(
    _ slots: [ValueSlot], to output: URL, overwrite: Bool,
    beside document: ((_ sha256: String) throws -> (name: String, data: Data))? = nil
  ) throws(CheckpointError) -> URL {
    try checkOutput(output, overwrite: overwrite)
    let slots = try stored(slots)
    let files = FileManager.default
    let weights = weightsFile.lastPathComponent
    let target = output.appending(path: weights)
    var made: [String] = []
    var partial: [(partial: URL, target: URL)] = []
    do {
      made = try PartialFiles.makeDirectory(output)
      let names = patchedFiles
      for name in names {
        let source = name == weights ? weightsFile : directory.appending(path: name)
        let target = output.appending(path: name)
        let temporary = PartialFiles.begin(beside: target)
        partial.append((temporary, target))
        // The link's target is copied: a copied link would lead the slots into the source.
        try files.copyItem(at: source.resolvingSymlinksInPath(), to: temporary)
        try Self.makeWritable(temporary)
        if name == weights {
          try requireUnchanged()
          try write(slots, into: temporary)
        }
        try PartialFiles.synchronize(temporary)
      }
      if let document, let written = partial.last?.partial {
        let (name, data) = try document(fingerprint(of: written))
        let target = output.appending(path: name)
        let temporary = PartialFiles.begin(beside: target)
        partial.insert((temporary, target), at: 0)
        try data.write(to: temporary)
        try PartialFiles.synchronize(temporary)
      }
      // Asked for all before the first is replaced: a directory in a file's place is the one obstacle left.
      for (_, target) in partial {
        var isDirectory: ObjCBool = false
        guard !files.fileExists(atPath: target.path, isDirectory: &isDirectory) || !isDirectory.boolValue
        else {
          throw CheckpointError.cannotWrite(
            path: target.path, reason: "it is a directory, where a file is to be")
        }
      }
      // A tokenizer's settings of an edit before, which the source lacks, would change how the model reads.
      let stale = Self.companions.filter { !names.contains($0) }
      try PartialFiles.finish(partial, in: made, removing: stale.map { output.appending(path: $0) })
      return target
    } catch {
      for (temporary, _) in partial { PartialFiles.discard(temporary) }
      PartialFiles.discardDirectories(made)
      if let error = error as? CheckpointError { throw error }
      var reason = (error as? HDF5Error)?.reason ?? Self.reason(error)
      // What it is put into ends in one.
      while reason.hasSuffix(".") { reason.removeLast() }
      throw .cannotWrite(path: output.path, reason: reason)
    }
  }

  /// Refuses slots that the file cannot hold.
  ///
  /// - Throws: ``CheckpointError/badSlot(layer:index:reason:)`` for a neuron that the model lacks or that comes twice, another
  ///   number of values than the hidden size, and a value that is not finite or too large for the file's number format.
  public func requireStorable(_ slots: [ValueSlot]) throws(CheckpointError) {
    for slot in slots { try check(slot) }
    var given: Set<[Int]> = []
    for slot in slots where !given.insert([slot.layer, slot.index]).inserted {
      throw .badSlot(layer: slot.layer, index: slot.index, reason: "it is given more than once")
    }
  }

  /// Slots as the file will hold them, rounded to its number format: what an edit is to be judged by.
  ///
  /// - Throws: as ``requireStorable(_:)``.
  public func stored(_ slots: [ValueSlot]) throws(CheckpointError) -> [ValueSlot] {
    try requireStorable(slots)
    var result: [ValueSlot] = []
    for slot in slots {
      let format = try entry(TensorRole.output(layer: slot.layer, configuration).description).format
      let values = slot.values.map { format?.rounded($0) ?? $0 }
      result.append(ValueSlot(layer: slot.layer, index: slot.index, values: values))
    }
    return result
  }

  private func check(_ slot: ValueSlot) throws(CheckpointError) {
    func bad(_ reason: String) -> CheckpointError {
      .badSlot(layer: slot.layer, index: slot.index, reason: reason)
    }
    guard (0..<configuration.layerCount).contains(slot.layer),
      (0..<configuration.intermediateSize).contains(slot.index)
    else {
      throw bad(
        "the model has \(configuration.layerCount) layers of \(configuration.intermediateSize) neurons")
    }
    guard slot.values.count == configuration.hiddenSize else {
      throw bad(
        "it has \(slot.values.count) values, and the model's hidden size is \(configuration.hiddenSize)")
    }
    let entry = try entry(TensorRole.output(layer: slot.layer, configuration).description)
    guard slot.values.allSatisfy({ $0.isFinite && entry.format?.encode($0) != nil }) else {
      throw bad("a value is not finite, or too large for the file's \(entry.element)")
    }
  }

  private func write(_ slots: [ValueSlot], into url: URL) throws {
    let byRow = orientation == .inputByOutput
    if case .safetensors = format {
      let handle = try FileHandle(forUpdating: url)
      defer { try? handle.close() }
      for slot in slots {
        let entry = try entry(TensorRole.output(layer: slot.layer, configuration).description)
        guard case .bytes(let offset, let format) = entry.location else { continue }
        let columns = entry.shape[1]
        for (position, value) in slot.values.enumerated() {
          let index = byRow ? slot.index * columns + position : position * columns + slot.index
          try handle.seek(toOffset: UInt64(offset + index * format.size))
          try handle.write(contentsOf: format.encode(value) ?? [])
        }
      }
      return
    }
    let file = try File.open(url, writable: true)
    for slot in slots {
      let dataset = try file.dataset(
        entry(TensorRole.output(layer: slot.layer, configuration).description).name)
      if byRow {
        try dataset.writeRow(slot.index, slot.values)
      } else {
        try dataset.writeColumn(slot.index, slot.values)
      }
    }
    try file.close()
  }

  /// Lets the owner write a copy, which is for nobody else than its source is.
  private static func makeWritable(_ url: URL) throws {
    let files = FileManager.default
    let mode = (try files.attributesOfItem(atPath: url.path)[.posixPermissions] as? NSNumber)?.intValue ?? 0o644
    try files.setAttributes([.posixPermissions: mode | 0o600], ofItemAtPath: url.path)
  }

  private static func reason(_ error: any Error) -> String {
    if (error as? CocoaError)?.code == .fileWriteOutOfSpace { return String(cString: strerror(ENOSPC)).lowercased() }
    if (error as? CocoaError)?.code == .fileNoSuchFile { return "no directory can be made there; choose another" }
    if (error as? CocoaError)?.code == .fileWriteUnknown {
      return "the system refused to write all of a file, as beyond a limit on its size"
    }
    let underlying = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
    if let underlying, underlying.domain == NSPOSIXErrorDomain {
      return String(cString: strerror(Int32(underlying.code)))
    }
    return (error as NSError).localizedDescription
  }
}
