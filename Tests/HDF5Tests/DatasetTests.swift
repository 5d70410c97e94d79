import FixtureFiles
import Foundation
import HDF5
import Testing

@Suite("Reading datasets")
struct DatasetTests {
  let numbers: [Float] = [0, 0.5, -1.25, 3, -0.0078125, 65504]

  @Test(
    "converts every float type to float32 exactly where it can hold the value",
    arguments: [
      ("half", "F16"), ("single", "F32"), ("single-big-endian", "F32 (big-endian)"), ("double", "F64"),
      ("double-big-endian", "F64 (big-endian)"), ("compressed", "F32"),
    ])
  func types(name: String, element: String) throws {
    let dataset = try File.open(Fixture.oddities).dataset("types/\(name)")
    #expect(dataset.elementType.description == element)
    #expect(dataset.elementType.isLittleEndianFloat32 == (element == "F32"))
    #expect(try dataset.floats(expecting: [2, 3]) == numbers)
    #expect(try dataset.doubles(expecting: [2, 3]) == numbers.map { Double($0) })
    #expect(try dataset.row(1) == Array(numbers[3...]))
    #expect(try dataset.column(2) == [-1.25, 65504])
  }

  @Test("keeps float64 values that float32 cannot hold")
  func doubles() throws {
    let url = Fixture.directory.appending(path: "flat-double/tf_model.h5")
    let dataset = try File.open(url).dataset("cls/predictions/bias")
    let doubles = try dataset.doubles(expecting: [89])
    #expect(doubles.map { Float($0) } == (try dataset.floats(expecting: [89])))
  }

  @Test("tells layout, filters and the place of contiguous values")
  func layout() throws {
    let file = try File.open(Fixture.oddities)
    let compressed = try file.dataset("types/compressed")
    #expect(compressed.layout == .chunked([1, 2]))
    #expect(compressed.filters == ["gzip", "fletcher32"])
    #expect(compressed.fileOffset == nil)
    let single = try file.dataset("types/single")
    #expect(single.layout == .contiguous)
    let offset = try #require(single.fileOffset)
    let bytes = try Data(contentsOf: Fixture.oddities)[offset..<offset + 24]
    #expect(bytes == numbers.withUnsafeBytes { Data($0) })
  }

  @Test("reads a single value and an array of none")
  func degenerate() throws {
    let file = try File.open(Fixture.oddities)
    #expect(try file.dataset("types/scalar").floats(expecting: []) == [7])
    #expect(try file.dataset("types/empty").floats(expecting: [0, 3]) == [])
  }

  @Test("refuses another shape than expected before it takes memory")
  func absurdShape() throws {
    let dataset = try File.open(Fixture.oddities).dataset("hostile/absurd")
    #expect(dataset.byteCount == 1 << 42)
    let message = Fixture.message { () throws(HDF5Error) in try dataset.floats(expecting: [16, 16]) }
    #expect(message.contains("its shape is [1048576, 1048576] where [16, 16] is expected"))
  }

  @Test("refuses four terabytes that a few kilobytes claim, even when they are expected")
  func absurdSize() throws {
    let dataset = try File.open(Fixture.oddities).dataset("hostile/absurd")
    let message = Fixture.message { () throws(HDF5Error) in
      try dataset.floats(expecting: [1 << 20, 1 << 20])
    }
    #expect(message.hasSuffix("no value was ever written to it."))
  }

  @Test("opens no further file for values that lie elsewhere")
  func external() throws {
    let dataset = try File.open(Fixture.oddities).dataset("hostile/external")
    #expect(dataset.layout == .elsewhere)
    #expect(dataset.fileOffset == nil)
    let message = Fixture.message { () throws(HDF5Error) in try dataset.floats(expecting: [2]) }
    #expect(message.contains("its values lie in other files"))
  }

  @Test("takes no integers for weights")
  func integers() throws {
    let dataset = try File.open(Fixture.oddities).dataset("types/integers")
    let message = Fixture.message { () throws(HDF5Error) in try dataset.floats(expecting: [2, 3]) }
    #expect(message.contains("types/integers"))
    #expect(message.contains("it holds I32 values where floating-point numbers are expected"))
  }

  @Test("refuses a row, a column or a dataset that is not there")
  func outside() throws {
    let file = try File.open(Fixture.oddities)
    let dataset = try file.dataset("types/single")
    #expect(Fixture.message { () throws(HDF5Error) in try dataset.row(2) }.contains("there are 2"))
    #expect(Fixture.message { () throws(HDF5Error) in try dataset.column(-1) }.contains("there are 3"))
    let scalar = try file.dataset("types/scalar")
    #expect(Fixture.message { () throws(HDF5Error) in try scalar.row(0) }.contains("not two-dimensional"))
    let message = Fixture.message { () throws(HDF5Error) in try file.dataset("types/none") }
    #expect(message.hasPrefix("Cannot open dataset types/none of \(Fixture.oddities.path): "))
  }

  @Test(
    "believes no dataset that claims more values than it can have", arguments: ["compact", "contiguous", "chunked"])
  func lies(name: String) throws {
    let file = try File.open(Fixture.oddities.deletingLastPathComponent().appending(path: "lies.h5"))
    let message = Fixture.message { () throws(HDF5Error) in
      let dataset = try file.dataset(name)
      return try dataset.floats(expecting: dataset.shape)
    }
    // Newer versions of libhdf5 open some of them no more, and say why in their own words.
    #expect(message.hasPrefix("Cannot ") && message.contains(name))
  }

  @Test("reports compressed data that are damaged")
  func damaged() throws {
    try FixtureFiles.withDirectory { directory in
      let url = directory.appending(path: "damaged.h5")
      var bytes = try Data(contentsOf: Fixture.oddities)
      // The zlib header of each small chunk; the checksum behind it no longer fits.
      var position = bytes.startIndex
      while let found = bytes[position...].range(of: Data([0x78, 0x5e]))
        ?? bytes[position...].range(of: Data([0x78, 0x9c]))
      {
        bytes[found.upperBound] ^= 0xff
        position = found.upperBound
      }
      try bytes.write(to: url)
      let dataset = try File.open(url).dataset("types/compressed")
      let message = Fixture.message { () throws(HDF5Error) in try dataset.floats(expecting: [2, 3]) }
      #expect(message.hasPrefix("Cannot read dataset types/compressed of \(url.path): "))
    }
  }

  @Test("serves many threads at once")
  func threads() async throws {
    let numbers = numbers
    try await withThrowingTaskGroup(of: [Float].self) { group in
      for index in 0..<64 {
        group.addTask {
          let file = try File.open(Fixture.oddities)
          return try file.dataset(index.isMultiple(of: 2) ? "types/compressed" : "types/half").floats(
            expecting: [2, 3])
        }
      }
      for try await values in group { #expect(values == numbers) }
    }
  }
}
