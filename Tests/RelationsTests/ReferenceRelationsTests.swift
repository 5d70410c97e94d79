import FixtureFiles
import Foundation
import Relations
import Testing

@Suite("Reference relations", .enabled(if: SharedReference.isEnabled))
struct ReferenceRelationsTests {
  private func catalogue() throws -> RelationCatalogue {
    try RelationCatalogue(directory: SharedReference.directory.appendingPathComponent("pararel"))
  }

  @Test("PARAREL has the paper's 34 relations, 27,738 facts and 253,448 prompts")
  func counts() throws {
    let relations = try catalogue().all
    #expect(relations.count == 34)
    #expect(relations.map(\.facts.count).reduce(0, +) == 27_738)
    #expect(relations.map { $0.facts.count * $0.templates.count }.reduce(0, +) == 253_448)
    for relation in relations {
      #expect(relation.label != relation.name)
      for fact in relation.facts.prefix(20) {
        let prompts = relation.prompts(for: fact)
        #expect(prompts.allSatisfy { $0.contains("[MASK]") && !$0.contains("[X]") && !$0.contains("[Y]") })
      }
    }
  }

  @Test("a mistyped relation is put right, and a label is understood")
  func names() throws {
    let catalogue = try catalogue()
    let error = #expect(throws: RelationError.self) { try catalogue.relation(named: "P63") }
    #expect(error?.description.hasSuffix("did you mean P36, P463?") == true)
    #expect(try catalogue.relation(named: "Capital").name == "P36")
  }

  @Test("the trained facts of the small reference model are all there")
  func trainedFacts() throws {
    let chosen = try FactSelection(
      contentsOf: SharedReference.directory.appendingPathComponent("reference/kn-mini/facts.json"))
    let catalogue = try catalogue()
    #expect(!chosen.relationNames.isEmpty)
    for name in chosen.relationNames {
      let facts = try chosen.facts(of: catalogue.relation(named: name))
      #expect((1...300).contains(facts.count))
    }
  }
}
