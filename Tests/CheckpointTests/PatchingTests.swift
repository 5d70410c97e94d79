import Checkpoint
import FixtureFiles
import Foundation
import HDF5
import Testing

@Suite("Writing a patched checkpoint")
struct PatchingTests {
  static let all = Fixture.exact + Fixture.rounded
  static let slots = [Fixture.slot(0, 0), Fixture.slot(0, 31), Fixture.slot(1, 7)]

  @Test("in every layout, reads back with those slots changed and nothing else", arguments: all)
  func roundTrip(name: String) throws {
    try FixtureFiles.withDirectory { directory in
      let source = try Fixture.open(name)
      let output = directory.appending(path: "out/deeper")
      let before = try Fixture.contents(source.directory)
      let written = try source.writePatched(Self.slots, to: output, overwrite: false)
      #expect(written.lastPathComponent == source.weightsFile.lastPathComponent)
      let patched = try Checkpoint.open(output)
      #expect(patched.format == source.format)
      #expect(patched.entries.map(\.name) == source.entries.map(\.name))
      #expect(patched.entries.map(\.element) == source.entries.map(\.element))
      #expect(patched.entries.map(\.storage) == source.entries.map(\.storage))
      let difference = try CheckpointDifference.between(source, patched)
      #expect(difference.slots.map { [$0.layer, $0.index] } == [[0, 0], [0, 31], [1, 7]])
      #expect(difference.slots.map(\.after) == Self.slots.map(\.values))
      #expect(
        difference.tensors.map(\.name)
          == [0, 1].map { "bert.encoder.layer.\($0).output.dense.weight" })
      // Companions are copied, and the source is as it was.
      #expect(try Fixture.contents(source.directory) == before)
      let after = try Fixture.contents(output)
      #expect(Set(after.keys) == Set(before.keys))
      for (file, bytes) in before where file != written.lastPathComponent { #expect(after[file] == bytes) }
    }
  }

  @Test(
    "of values in one piece, changes the bytes of the slots and no others",
    arguments: [
      ("keras", 4), ("keras-pretraining", 4), ("flat-torch", 4), ("flat-half", 2), ("flat-double", 8),
      ("safetensors", 4), ("safetensors-bf16", 2),
    ])
  func bytes(name: String, size: Int) throws {
    try FixtureFiles.withDirectory { directory in
      let source = try Fixture.open(name)
      let written = try source.writePatched(Self.slots, to: directory, overwrite: true)
      let (before, after) = (try Data(contentsOf: source.weightsFile), try Data(contentsOf: written))
      #expect(before.count == after.count)
      let changed = zip(before, after).count { $0 != $1 }
      #expect(changed > 0)
      #expect(changed <= Self.slots.count * Fixture.hidden * size)
    }
  }

  @Test("replacing an earlier edit, leaves no tokenizer's settings that the source lacks, and files of other names")
  func staleCompanions() throws {
    try FixtureFiles.withDirectory { directory in
      let source = try Fixture.open("keras")
      for name in ["tokenizer_config.json", "notes.txt"] {
        try Data(#"{"do_lower_case": false}"#.utf8).write(to: directory.appending(path: name))
      }
      let has = FileManager.default.fileExists(
        atPath: source.directory.appending(path: "tokenizer_config.json").path)
      try source.writePatched(Self.slots, to: directory, overwrite: true)
      let found = try FileManager.default.contentsOfDirectory(atPath: directory.path)
      #expect(found.contains("notes.txt") && found.contains("tokenizer_config.json") == has)
      #expect(Set(source.patchedFiles).isSubset(of: found))
    }
  }

  @Test("a link to nothing is refused before any work is done")
  func danglingLink() throws {
    try FixtureFiles.withDirectory { directory in
      let link = directory.appending(path: "link")
      try FileManager.default.createSymbolicLink(atPath: link.path, withDestinationPath: "nowhere")
      #expect(throws: CheckpointError.cannotWrite(path: link.path, reason: "it is a link to what is not there")) {
        try Fixture.open("keras").checkOutput(link, overwrite: false)
      }
    }
  }

  @Test("is for nobody else than its source, and its owner may write it", arguments: [(0o400, 0o600), (0o644, 0o644)])
  func permissions(of source: Int, expected: Int) throws {
    try FixtureFiles.withCopy(of: "keras") { model in
      let weights = model.appending(path: "tf_model.h5").path
      try FileManager.default.setAttributes([.posixPermissions: source], ofItemAtPath: weights)
      let written = try Checkpoint.open(model).writePatched(
        Self.slots, to: model.appending(path: "out"), overwrite: false)
      let mode = try FileManager.default.attributesOfItem(atPath: written.path)[.posixPermissions] as? NSNumber
      #expect(mode?.intValue == expected)
    }
  }

  @Test("of compressed values, leaves all other tensors, attributes and groups as they are")
  func compressed() throws {
    try FixtureFiles.withDirectory { directory in
      let source = try Fixture.open("keras-compressed")
      let written = try source.writePatched(Self.slots, to: directory, overwrite: false)
      let (before, after) = (try File.open(source.weightsFile), try File.open(written))
      #expect(try before.objects() == after.objects())
      for object in try before.objects() {
        if object.kind == .group {
          let names = try before.stringArrayAttribute("weight_names", of: object.path)
          #expect(try after.stringArrayAttribute("weight_names", of: object.path) == names)
          continue
        }
        let (one, other) = (try before.dataset(object.path), try after.dataset(object.path))
        #expect(one.filters == other.filters)
        let same = try one.floats(expecting: one.shape) == other.floats(expecting: one.shape)
        let holdsSlots = object.path.hasSuffix("output/dense/kernel:0") && !object.path.contains("attention")
        #expect(same == !holdsSlots)
      }
    }
  }

  @Test(
    "with no slots at all is a copy, byte for byte", arguments: ["keras", "flat-transposed", "safetensors"])
  func unchanged(name: String) throws {
    try FixtureFiles.withDirectory { directory in
      let source = try Fixture.open(name)
      let written = try source.writePatched([], to: directory, overwrite: false)
      #expect(try Data(contentsOf: written) == Data(contentsOf: source.weightsFile))
    }
  }

  @Test(
    "rounds to the nearest number that the format has",
    arguments: [("flat-half", Float(0x1p-10)), ("safetensors-f16", 0x1p-10), ("safetensors-bf16", 0x1p-7)])
  func rounding(name: String, spacing: Float) throws {
    try FixtureFiles.withDirectory { directory in
      // Just below and just above half of the format's spacing over 1, on either side of zero.
      let values = [1 + spacing * 0.499, 1 + spacing * 0.501, -1 - spacing * 0.499, -1 - spacing * 0.501]
      let slot = ValueSlot(layer: 0, index: 3, values: (0..<4).flatMap { _ in values })
      let written = try Fixture.open(name).writePatched([slot], to: directory, overwrite: false)
      let expected: [Float] = [1, 1 + spacing, -1, -1 - spacing]
      let found = try Checkpoint.open(written).weights().valueSlot(layer: 0, index: 3)
      #expect(found == (0..<4).flatMap { _ in expected })
    }
  }

  @Test(
    "rounds a number right behind one that the format can hardly hold", arguments: ["flat-half", "safetensors-f16"])
  func roundingBehindSubnormal(name: String) throws {
    try FixtureFiles.withDirectory { directory in
      // libhdf5's own conversion drops the carry of the second and stores a half.
      let values: [Float] = [1e-5, 0.99999, 1.5249e-5, -0.99999]
      let slot = ValueSlot(layer: 0, index: 3, values: (0..<4).flatMap { _ in values })
      let written = try Fixture.open(name).writePatched([slot], to: directory, overwrite: false)
      let found = try Checkpoint.open(written).weights().valueSlot(layer: 0, index: 3)
      #expect(found == slot.values.map { Float(Float16($0)) })
    }
  }

  @Test("refuses to change what a filter keeps rounded, before any work is done and with nothing written")
  func lossy() throws {
    try FixtureFiles.withDirectory { directory in
      let source = try Fixture.open("flat-lossy")
      let output = directory.appending(path: "out")
      let early = try Fixture.error { () throws(CheckpointError) in try source.checkOutput(output, overwrite: false) }
      let late = try Fixture.error { () throws(CheckpointError) in
        try source.writePatched([], to: output, overwrite: false)
      }
      for error in [early, late] {
        guard case .inexact(_, let tensor, let storage) = error else { throw error }
        #expect(tensor == "bert.encoder.layer.1.output.dense.weight" && storage.contains("scaleoffset"))
      }
      #expect(!FileManager.default.fileExists(atPath: output.path))
    }
  }

  @Test("refuses an output that is not empty, unless told to replace it; then other files stay")
  func existing() throws {
    try FixtureFiles.withDirectory { directory in
      let source = try Fixture.open("keras")
      let note = directory.appending(path: "note.txt")
      try Data("mine".utf8).write(to: note)
      let error = try Fixture.error { () throws(CheckpointError) in
        try source.writePatched(Self.slots, to: directory, overwrite: false)
      }
      #expect(error == .outputExists(path: directory.path))
      #expect(error == .outputExists(path: directory.path))
      #expect(try Fixture.contents(directory).count == 1)
      _ = try source.writePatched(Self.slots, to: directory, overwrite: true)
      _ = try source.writePatched(Self.slots, to: directory, overwrite: true)
      #expect(try Data(contentsOf: note) == Data("mine".utf8))
      #expect(try Fixture.contents(directory).keys.allSatisfy { !$0.hasSuffix(".partial") })
    }
  }

  @Test("refuses a source that was written to, or replaced, since it was opened, and leaves nothing")
  func changedSource() throws {
    for replaces in [false, true] {
      try FixtureFiles.withCopy(of: "keras") { model in
        let (source, weights) = (try Checkpoint.open(model), model.appending(path: "tf_model.h5"))
        let bytes = try Data(contentsOf: weights)
        if replaces {
          try bytes.write(to: weights, options: .atomic)
        } else {
          let handle = try FileHandle(forWritingTo: weights)
          try handle.seekToEnd()
          try handle.write(contentsOf: Data([0]))
          try handle.close()
        }
        let output = model.deletingLastPathComponent().appending(path: "out")
        let error = try Fixture.error { () throws(CheckpointError) in
          try source.writePatched(Self.slots, to: output, overwrite: false)
        }
        #expect(error == .changed(path: source.weightsFile.path))
        #expect(!FileManager.default.fileExists(atPath: output.path))
      }
    }
  }

  @Test("slots as the file will hold them are what reading it gives", arguments: all)
  func stored(name: String) throws {
    try FixtureFiles.withDirectory { directory in
      let source = try Fixture.open(name)
      let slot = ValueSlot(layer: 1, index: 7, values: (0..<Fixture.hidden).map { sin(Float($0)) / 3 })
      let stored = try source.stored([slot])
      try source.writePatched([slot], to: directory, overwrite: false)
      #expect(stored.map(\.values) == [try Checkpoint.open(directory).weights().valueSlot(layer: 1, index: 7)])
      #expect((stored == [slot]) != Fixture.rounded.contains(name))
    }
  }

  @Test("refuses a directory in which another command is writing, or was killed at it")
  func unfinished() throws {
    try FixtureFiles.withDirectory { directory in
      let partial = ".tf_model.h5.0E9D.partial"
      try Data("half".utf8).write(to: directory.appending(path: partial))
      for overwrite in [false, true] {
        let error = try Fixture.error { () throws(CheckpointError) in
          try Fixture.open("keras").checkOutput(directory, overwrite: overwrite)
        }
        #expect(error.description.contains("left \(partial)"))
      }
    }
  }

  @Test("refuses a directory of other weights, which would be read in place of those written")
  func otherWeights() throws {
    try FixtureFiles.withCopy(of: "keras") { directory in
      let before = try Fixture.contents(directory)
      let error = try Fixture.error { () throws(CheckpointError) in
        try Checkpoint.open(Fixture.directory.appending(path: "safetensors"))
          .writePatched(Self.slots, to: directory, overwrite: true)
      }
      #expect(error.description.contains("it holds other weights (tf_model.h5)"))
      #expect(try Fixture.contents(directory) == before)
    }
  }

  @Test("never writes over the source, by whatever name the output goes")
  func source() throws {
    try FixtureFiles.withCopy(of: "keras") { directory in
      let source = try Checkpoint.open(directory)
      let before = try Fixture.contents(directory)
      let parent = directory.deletingLastPathComponent()
      let link = parent.appending(path: "link")
      try FileManager.default.createSymbolicLink(at: link, withDestinationURL: directory)
      let hard = parent.appending(path: "hard")
      try FileManager.default.createDirectory(at: hard, withIntermediateDirectories: false)
      try FileManager.default.linkItem(
        at: directory.appending(path: "tf_model.h5"), to: hard.appending(path: "tf_model.h5"))
      for output in [directory, directory.appending(path: "../keras/."), link, hard] {
        let error = try Fixture.error { () throws(CheckpointError) in
          try source.writePatched(Self.slots, to: output, overwrite: true)
        }
        guard case .outputIsSource = error else { throw error }
      }
      #expect(try Fixture.contents(directory) == before)
    }
  }

  @Test(
    "of a source behind symbolic links, leaves the files that they lead to alone",
    arguments: ["keras", "safetensors"])
  func links(name: String) throws {
    try FixtureFiles.withCopy(of: name) { blobs in
      let before = try Fixture.contents(blobs)
      let snapshot = blobs.deletingLastPathComponent().appending(path: "snapshot")
      try FileManager.default.createDirectory(at: snapshot, withIntermediateDirectories: false)
      for file in before.keys {
        try FileManager.default.createSymbolicLink(
          at: snapshot.appending(path: file), withDestinationURL: blobs.appending(path: file))
      }
      let output = blobs.deletingLastPathComponent().appending(path: "out")
      let source = try Checkpoint.open(snapshot)
      let written = try source.writePatched(Self.slots, to: output, overwrite: false)
      #expect(try Fixture.contents(blobs) == before)
      let kind = try FileManager.default.attributesOfItem(atPath: written.path)[.type] as? FileAttributeType
      #expect(kind == .typeRegular)
      #expect(try CheckpointDifference.between(source, Checkpoint.open(output)).slots.count == 3)
    }
  }

  // A path below a regular file, since permissions do not bind a test that runs as root.
  @Test("says why an output cannot be written and leaves nothing behind")
  func unwritable() throws {
    try FixtureFiles.withDirectory { directory in
      let file = directory.appending(path: "file")
      try Data().write(to: file)
      for output in [file, file.appending(path: "out"), file.appending(path: "a/b")] {
        let error = try Fixture.error { () throws(CheckpointError) in
          try Fixture.open("keras").writePatched(Self.slots, to: output, overwrite: true)
        }
        guard case .cannotWrite = error else { throw error }
      }
      #expect(try Fixture.contents(directory).keys.sorted() == ["file"])
    }
  }

  @Test("that fails half-way leaves an existing output as it was")
  func halfWay() throws {
    try FixtureFiles.withDirectory { directory in
      // A directory by the weights file's name can neither be replaced nor be seen before the end.
      try FileManager.default.createDirectory(
        at: directory.appending(path: "model.safetensors/inside"), withIntermediateDirectories: true)
      let error = try Fixture.error { () throws(CheckpointError) in
        try Fixture.open("safetensors").writePatched(Self.slots, to: directory, overwrite: true)
      }
      guard case .cannotWrite = error else { throw error }
      let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
      #expect(names == ["model.safetensors"])
    }
  }

  @Test("refuses slots that cannot be stored before it touches the disk")
  func badSlots() throws {
    try FixtureFiles.withDirectory { directory in
      let output = directory.appending(path: "out")
      let zeros = [Float](repeating: 0, count: 16)
      var bad: [(String, ValueSlot, String)] = [
        ("keras", ValueSlot(layer: 2, index: 0, values: zeros), "2 layers of 32 neurons"),
        ("keras", ValueSlot(layer: -1, index: 0, values: zeros), "2 layers of 32 neurons"),
        ("keras", ValueSlot(layer: 0, index: 32, values: zeros), "2 layers of 32 neurons"),
        ("keras", ValueSlot(layer: 0, index: 0, values: [1]), "it has 1 values"),
      ]
      for value in [Float.nan, .infinity] {
        bad.append(("keras", ValueSlot(layer: 0, index: 0, values: [value] + zeros.dropLast()), "not finite"))
      }
      // 65520 is the first number that rounds beyond float16's largest, 65504.
      for name in ["flat-half", "safetensors-f16"] {
        bad.append(
          (
            name, ValueSlot(layer: 0, index: 0, values: [65520] + zeros.dropLast()),
            "too large for the file's F16"
          ))
      }
      bad.append(
        (
          "safetensors-bf16",
          ValueSlot(layer: 0, index: 0, values: [Float.greatestFiniteMagnitude] + zeros.dropLast()),
          "too large for the file's BF16"
        ))
      for (name, slot, reason) in bad {
        let error = try Fixture.error { () throws(CheckpointError) in
          try Fixture.open(name).writePatched([Fixture.slot(1, 1), slot], to: output, overwrite: false)
        }
        guard case .badSlot = error else { throw error }
        #expect(error.description.contains(reason))
      }
      let twice = try Fixture.error { () throws(CheckpointError) in
        try Fixture.open("keras").writePatched(
          [Fixture.slot(1, 1), Fixture.slot(1, 1)], to: output, overwrite: false)
      }
      #expect(twice.description.contains("it is given more than once"))
      #expect(!FileManager.default.fileExists(atPath: output.path))
    }
  }

  @Test("takes the largest float16 for float16")
  func largestHalf() throws {
    try FixtureFiles.withDirectory { directory in
      let slot = ValueSlot(layer: 0, index: 0, values: [Float](repeating: 65519, count: 16))
      let written = try Fixture.open("flat-half").writePatched([slot], to: directory, overwrite: false)
      let found = try Checkpoint.open(written).weights().valueSlot(layer: 0, index: 0)
      #expect(found == [Float](repeating: 65504, count: 16))
    }
  }
}
