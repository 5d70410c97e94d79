import FixtureFiles
import Foundation
import Neurons
import Testing

@Suite("The document that locate writes")
struct LocatedRelationsTests {
  /// As README.md documents it.
  static let text = """
    {"schema":1,"relations":[{"relation":"P36","p":0.7,"meanSize":3.2,"rule":"riemann","steps":20,"facts":[
    {"subject":"Ireland","answer":"Dublin","neurons":[{"layer":4,"index":123,"prompts":7}]}]}]}
    """

  @Test("reads the documented form and writes it again")
  func roundTrip() throws {
    try FixtureFiles.withDirectory { directory in
      let url = directory.appending(path: "neurons.json")
      try Self.text.write(to: url, atomically: true, encoding: .utf8)
      let document = try LocatedRelations(contentsOf: url)
      let relation = try document.relation("P36")
      #expect(relation.facts[0].refinedSet == [Neuron(layer: 4, index: 123)])
      #expect(relation.p == 0.7 && relation.meanSize == 3.2 && relation.steps == 20)
      let written = try JSONSerialization.jsonObject(with: JSONEncoder().encode(document)) as? NSDictionary
      #expect(written == (try JSONSerialization.jsonObject(with: Data(Self.text.utf8)) as? NSDictionary))
    }
  }

  @Test("says what is wrong with a file that cannot serve")
  func badFiles() throws {
    try FixtureFiles.withDirectory { directory in
      let url = directory.appending(path: "neurons.json")
      #expect(throws: LocationError.unreadable(path: url.path)) { try LocatedRelations(contentsOf: url) }
      try "[1, 2]".write(to: url, atomically: true, encoding: .utf8)
      #expect(throws: LocationError.notLocated(path: url.path)) { try LocatedRelations(contentsOf: url) }
      try Self.text.replacing("\"schema\":1", with: "\"schema\":9").write(to: url, atomically: true, encoding: .utf8)
      #expect(throws: LocationError.unknownSchema(path: url.path, found: 9)) { try LocatedRelations(contentsOf: url) }
      try Self.text.write(to: url, atomically: true, encoding: .utf8)
      #expect(throws: LocationError.missingRelation(name: "P30", present: ["P36"])) {
        try LocatedRelations(contentsOf: url).relation("P30")
      }
    }
  }
}
