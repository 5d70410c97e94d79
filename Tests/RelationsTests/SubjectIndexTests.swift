import Foundation
import Relations
import Testing

@Suite("Relations by their subjects")
struct SubjectIndexTests {
  @Test("a subject's relations are those with a fact about it")
  func relations() throws {
    var catalogue = TemporaryCatalogue()
    catalogue.files["facts.json"] =
      #"{"P36": [["a", "b"], ["c", "d"]], "P30": [["a", "e"], ["a", "f"]], "P20": [["g", "a"]]}"#
    let index = try catalogue { SubjectIndex(try RelationCatalogue(directory: $0)) }
    #expect(index.relations(of: "a") == ["P30", "P36"] && index.relations(of: "g") == ["P20"])
    #expect(index.relations(of: "b").isEmpty)
  }
}
