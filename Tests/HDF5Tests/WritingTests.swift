import FixtureFiles
import Foundation
import HDF5
import Testing

@Suite("Writing")
struct WritingTests {
  @Test("a file of datasets and attributes reads back")
  func roundTrip() throws {
    try FixtureFiles.withDirectory { directory in
      let url = directory.appending(path: "attributions.h5")
      let file = try File.create(url)
      let values = (0..<24).map { Float($0) / 8 }
      try file.createDataset("R1/attributions", shape: [2, 3, 4], values: values)
      try file.createDataset("R1/none", shape: [0, 3], values: [])
      try file.setAttribute("rule", of: "R1", to: "right sum, 20 points")
      try file.setAttribute("prompts", of: "R1/attributions", to: ["ein süßer [MASK]", ""])
      try file.setAttribute("rule", of: "R1", to: "replaced")
      try file.close()
      let reopened = try File.open(url)
      #expect(try reopened.dataset("R1/attributions").floats(expecting: [2, 3, 4]) == values)
      #expect(try reopened.dataset("R1/none").floats(expecting: [0, 3]) == [])
      #expect(try reopened.stringAttribute("rule", of: "R1") == "replaced")
      #expect(
        try reopened.stringArrayAttribute("prompts", of: "R1/attributions") == ["ein süßer [MASK]", ""])
    }
  }

  @Test("refuses values that do not fill the shape, and a name that is taken")
  func refusals() throws {
    try FixtureFiles.withDirectory { directory in
      let file = try File.create(directory.appending(path: "new.h5"))
      let unfilled = Fixture.message { () throws(HDF5Error) in
        try file.createDataset("a", shape: [2, 2], values: [1, 2, 3])
      }
      #expect(unfilled.hasSuffix("3 values do not fill the shape [2, 2]."))
      try file.createDataset("a", shape: [1], values: [1])
      let taken = Fixture.message { () throws(HDF5Error) in
        try file.createDataset("a", shape: [1], values: [2])
      }
      #expect(taken.hasPrefix("Cannot create dataset a of "))
      let belowDataset = Fixture.message { () throws(HDF5Error) in
        try file.createDataset("a/b", shape: [1], values: [2])
      }
      #expect(belowDataset.hasSuffix("/a exists and is no group."))
    }
  }

  @Test(
    "a row or a column replaces just that, in the stored type",
    arguments: ["half", "single", "single-big-endian", "double", "double-big-endian", "compressed"])
  func line(name: String) throws {
    try FixtureFiles.withDirectory { directory in
      let url = directory.appending(path: "copy.h5")
      try FileManager.default.copyItem(at: Fixture.oddities, to: url)
      let file = try File.open(url, writable: true)
      let dataset = try file.dataset("types/\(name)")
      try dataset.writeRow(0, [1, 2, 4])
      try dataset.writeColumn(1, [-8, -16])
      try file.close()
      let written = try File.open(url).dataset("types/\(name)")
      #expect(try written.floats(expecting: [2, 3]) == [1, -8, 4, 3, -16, 65504])
      #expect(written.elementType == dataset.elementType)
      #expect(written.layout == dataset.layout)
    }
  }

  @Test("writing a line of a contiguous dataset changes its bytes and no others")
  func bytes() throws {
    try FixtureFiles.withDirectory { directory in
      let source = Fixture.directory.appending(path: "keras/tf_model.h5")
      let url = directory.appending(path: "copy.h5")
      try FileManager.default.copyItem(at: source, to: url)
      let path = "bert/tf_bert_for_masked_lm/bert/encoder/layer_._0/output/dense/kernel:0"
      let file = try File.open(url, writable: true)
      let dataset = try file.dataset(path)
      let offset = try #require(dataset.fileOffset)
      let row = (0..<16).map { Float($0) - 4.5 }
      try dataset.writeRow(3, row)
      try file.close()
      var expected = try Data(contentsOf: source)
      let start = offset + 3 * 16 * 4
      expected.replaceSubrange(start..<start + 64, with: row.withUnsafeBytes { Data($0) })
      #expect(try Data(contentsOf: url) == expected)
    }
  }

  @Test("a dataset of a file that has been closed is an error, not a crash")
  func closed() throws {
    try FixtureFiles.withDirectory { directory in
      let file = try File.create(directory.appending(path: "new.h5"))
      let dataset = try file.createDataset("a", shape: [1, 1], values: [1])
      try file.close()
      let message = Fixture.message { () throws(HDF5Error) in try dataset.writeRow(0, [2]) }
      #expect(message.hasPrefix("Cannot write row 0 of dataset a of "))
    }
  }

  @Test("a file opened for reading takes no values")
  func readOnly() throws {
    let dataset = try File.open(Fixture.oddities).dataset("types/single")
    let message = Fixture.message { () throws(HDF5Error) in try dataset.writeRow(0, [1, 2, 3]) }
    #expect(message.hasPrefix("Cannot write row 0 of dataset types/single of "))
  }

  @Test("a line of the wrong length is refused")
  func wrongLength() throws {
    let dataset = try File.open(Fixture.oddities).dataset("types/single")
    let message = Fixture.message { () throws(HDF5Error) in try dataset.writeColumn(0, [1, 2, 3]) }
    #expect(message.hasSuffix("3 values were given and it has 2."))
  }
}
