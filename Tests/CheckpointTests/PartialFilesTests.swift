import FixtureFiles
import Foundation
import Testing

@testable import Checkpoint

@Suite("Files beside their places")
struct PartialFilesTests {
  @Test("come to their places together, replace what is there, and stay when they are discarded later")
  func finish() throws {
    try FixtureFiles.withDirectory { directory in
      let targets = ["a", "b"].map { directory.appending(path: $0) }
      try Data("earlier".utf8).write(to: targets[0])
      let partial = targets.map { PartialFiles.begin(beside: $0) }
      for url in partial { try Data("new".utf8).write(to: url) }
      #expect(try String(contentsOf: targets[0], encoding: .utf8) == "earlier")
      try PartialFiles.finish(zip(partial, targets).map { ($0, $1) })
      for url in partial { PartialFiles.discard(url) }
      for url in targets { #expect(try String(contentsOf: url, encoding: .utf8) == "new") }
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path).count == 2)
    }
  }

  @Test("are gone once discarded, and what could not be put at its place says why")
  func discard() throws {
    try FixtureFiles.withDirectory { directory in
      let target = directory.appending(path: "a")
      let partial = PartialFiles.begin(beside: target)
      try Data("new".utf8).write(to: partial)
      try FileManager.default.createDirectory(at: target, withIntermediateDirectories: false)
      let error = #expect(throws: CheckpointError.self) { try PartialFiles.finish([(partial, target)]) }
      #expect(error?.description.contains(target.path) == true)
      PartialFiles.discard(partial)
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["a"])
    }
  }

  @Test("that will not be finished leave no directory that was made for them, unless something else lies there")
  func discardDirectories() throws {
    try FixtureFiles.withDirectory { directory in
      let inner = directory.appending(path: "a/b")
      let made = try PartialFiles.makeDirectory(inner)
      #expect(made.map { URL(filePath: $0).lastPathComponent } == ["a", "b"])
      try Data().write(to: directory.appending(path: "a/other"))
      PartialFiles.discardDirectories(made)
      #expect(try FileManager.default.subpathsOfDirectory(atPath: directory.path).sorted() == ["a", "a/other"])
    }
  }

  @Test("that are finished keep the directory that was made for them")
  func finishInDirectory() throws {
    try FixtureFiles.withDirectory { directory in
      let target = directory.appending(path: "a/b")
      let made = try PartialFiles.makeDirectory(target.deletingLastPathComponent())
      let partial = PartialFiles.begin(beside: target)
      try Data("new".utf8).write(to: partial)
      try PartialFiles.finish([(partial, target)], in: made)
      try FileManager.default.removeItem(at: target)
      PartialFiles.discardDirectories(made)
      #expect(try FileManager.default.contentsOfDirectory(atPath: directory.path) == ["a"])
    }
  }
}
