import FixtureFiles
import Foundation
import HDF5
import Testing

@Suite("Opening a file that cannot be used")
struct OpeningTests {
  @Test("names the path when there is no such file.")
  func missing() {
    let message = Fixture.message { () throws(HDF5Error) in try File.open(URL(filePath: "/no/such/file.h5")) }
    #expect(message == "Cannot open /no/such/file.h5: there is no such file.")
  }

  @Test("says that a directory is one")
  func directory() {
    let message = Fixture.message { () throws(HDF5Error) in try File.open(Fixture.directory) }
    #expect(message.hasSuffix("it is a directory."))
  }

  @Test("does not wait for a device that never ends")
  func device() {
    let message = Fixture.message { () throws(HDF5Error) in try File.open(URL(filePath: "/dev/zero")) }
    #expect(message.hasSuffix("it is not a regular file."))
  }

  @Test("says that text is not HDF5, and so for an empty file")
  func text() throws {
    try FixtureFiles.withDirectory { directory in
      for (name, content) in [("text.h5", "{\"a\": 1}"), ("empty.h5", "")] {
        let url = directory.appending(path: name)
        try Data(content.utf8).write(to: url)
        let message = Fixture.message { () throws(HDF5Error) in try File.open(url) }
        #expect(message == "Cannot open \(url.path): it is not an HDF5 file.")
      }
    }
  }

  @Test("reports a file cut short, at whatever place it was cut", arguments: [96, 500, 2_000, 5_000])
  func truncated(length: Int) throws {
    try FixtureFiles.withDirectory { directory in
      let url = directory.appending(path: "cut.h5")
      try Data(contentsOf: Fixture.oddities).prefix(length).write(to: url)
      let message = Fixture.message { () throws(HDF5Error) in try File.open(url) }
      #expect(message.hasPrefix("Cannot open \(url.path): "))
      #expect(message.contains("truncated file"))
    }
  }

  @Test("refuses to create over a file unless told to")
  func createOver() throws {
    try FixtureFiles.withDirectory { directory in
      let url = directory.appending(path: "new.h5")
      try File.create(url).close()
      let message = Fixture.message { () throws(HDF5Error) in try File.create(url) }
      #expect(message.hasSuffix("it exists already."))
      try File.create(url, replacing: true).close()
    }
  }

  @Test("says why a file cannot be created below a regular file")
  func createBelowFile() {
    let url = Fixture.oddities.appending(path: "new.h5")
    let message = Fixture.message { () throws(HDF5Error) in try File.create(url) }
    #expect(message.hasPrefix("Cannot create \(url.path): "))
    #expect(message.contains("not a directory"))
  }
}
