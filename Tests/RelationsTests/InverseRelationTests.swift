import Foundation
import Relations
import Testing

@Suite("Inverse relations")
struct InverseRelationTests {
  @Test("the relation that holds three facts turned round is the inverse, one that holds two is not")
  func inverse() throws {
    var catalogue = TemporaryCatalogue()
    catalogue.files["facts.json"] = """
      {"P36": [["Gondor", "Tirith"], ["Rohan", "Edoras"], ["Arnor", "Annuminas"]],
       "P101": [["Tirith", "Gondor"], ["Edoras", "Rohan"], ["Annuminas", "Arnor"], ["Bree", "Arnor"]],
       "P102": [["Tirith", "Gondor"], ["Edoras", "Rohan"]]}
      """
    catalogue.files["patterns/P102.jsonl"] = catalogue.files["patterns/P101.jsonl"]
    try catalogue { directory in
      let catalogue = try RelationCatalogue(directory: directory)
      #expect(try catalogue.relation(named: "P36").inverse(in: catalogue)?.name == "P101")
      #expect(try catalogue.relation(named: "P101").inverse(in: catalogue)?.name == "P36")
      #expect(try catalogue.relation(named: "P102").inverse(in: catalogue)?.name == nil)
    }
  }

  @Test("a relation that holds its own facts turned round is its own inverse")
  func symmetric() throws {
    var catalogue = TemporaryCatalogue()
    catalogue.files["facts.json"] = #"{"P36": [["a", "b"], ["b", "a"], ["c", "d"], ["d", "c"]]}"#
    try catalogue { directory in
      let catalogue = try RelationCatalogue(directory: directory)
      #expect(try catalogue.relation(named: "P36").inverse(in: catalogue)?.name == "P36")
    }
  }
}
