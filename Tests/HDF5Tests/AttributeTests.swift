import HDF5
import Testing

@Suite("Text attributes")
struct AttributeTests {
  @Test("variable and fixed length, single and several, read alike")
  func kinds() throws {
    let file = try File.open(Fixture.oddities)
    #expect(try file.stringAttribute("variable", of: "types") == "Ålesund")
    #expect(try file.stringArrayAttribute("variable-list", of: "types") == ["one", "", "drei"])
    #expect(try file.stringAttribute("fixed", of: "types") == "plain")
    #expect(try file.stringArrayAttribute("fixed-list", of: "types") == ["a", "long one"])
    #expect(try file.stringArrayAttribute("none", of: "types") == [])
    #expect(try file.stringAttribute("absent", of: "types") == nil)
  }

  @Test("numbers, broken text and several strings for one are errors")
  func errors() throws {
    let file = try File.open(Fixture.oddities)
    let number = Fixture.message { () throws(HDF5Error) in try file.stringAttribute("number", of: "types") }
    #expect(number.hasPrefix("Cannot read attribute number of types of "))
    #expect(number.hasSuffix("it holds no text."))
    let broken = Fixture.message { () throws(HDF5Error) in try file.stringAttribute("not-utf-8", of: "types")
    }
    #expect(broken.hasSuffix("it is not UTF-8."))
    let several = Fixture.message { () throws(HDF5Error) in
      try file.stringAttribute("fixed-list", of: "types")
    }
    #expect(several.hasSuffix("it holds 2 strings where one is expected."))
  }

  @Test(
    "the layer names of Keras checkpoints are read from either kind of text",
    arguments: ["keras", "keras-compressed"])
  func keras(name: String) throws {
    let file = try File.open(Fixture.directory.appending(path: "\(name)/tf_model.h5"))
    #expect(try file.stringArrayAttribute("layer_names") == ["bert", "mlm___cls"])
    #expect(try file.stringArrayAttribute("weight_names", of: "bert")?.count == 5 + 2 * 16)
  }
}
