import Foundation
import Relations
import Testing

@Suite("Choosing facts")
struct FactChoiceTests {
  private func relation(_ name: String) throws -> Relation {
    try TemporaryCatalogue()() { try RelationCatalogue(directory: $0).relation(named: name) }
  }

  @Test("the only answer needs no naming, and one of several does")
  func answers() throws {
    let field = try relation("P101")
    #expect(try field.fact(subject: "Emmy").answer == "algebra")
    #expect(try field.fact(subject: "Ada", answer: "music").answer == "music")
    #expect(field.facts(ofSubject: "Ada").map(\.answer) == ["logic", "music", "logic"])
    let error = #expect(
      throws: RelationError.severalAnswers(subject: "Ada", relation: "P101", answers: ["logic", "music"])
    ) {
      try field.fact(subject: "Ada")
    }
    #expect(error?.description.contains("say which is meant of: logic, music") == true)
  }

  @Test("an answer stated twice is one answer")
  func repeated() throws {
    let fact = Fact(relation: "P1", subject: "a", answer: "b")
    let relation = Relation(name: "P1", label: "P1", templates: [], facts: [fact, fact])
    #expect(try relation.fact(subject: "a") == fact)
  }

  @Test("an answer that is not there lists those that are")
  func wrongAnswer() throws {
    let field = try relation("P101")
    #expect(
      throws: RelationError.unknownAnswer(
        answer: "logics", subject: "Ada", relation: "P101", answers: ["logic", "music"])
    ) {
      try field.fact(subject: "Ada", answer: "logics")
    }
  }

  @Test(
    "an unknown subject gets its near misses and the count",
    arguments: [
      ("Gnodor", ["Gondor"]), ("rohan", ["Rohan"]), ("Gondo", ["Gondor"]), ("Lothlorien", []), ("", []),
    ])
  func unknownSubject(subject: String, suggestions: [String]) throws {
    let seat = try relation("P36")
    let error = #expect(
      throws: RelationError.unknownSubject(
        subject: subject, relation: "P36", suggestions: suggestions, count: 3)
    ) {
      try seat.fact(subject: subject)
    }
    #expect(error?.description.contains("3 facts") == true)
  }

  @Test("a directory in a selection's place is called one")
  func directory() throws {
    let url = FileManager.default.temporaryDirectory
    #expect(throws: RelationError.unreadable(path: url.path, reason: "it is a directory")) {
      try FactSelection(contentsOf: url)
    }
  }

  private func selection(_ text: String) throws -> FactSelection {
    var files = TemporaryCatalogue()
    files.files["chosen.json"] = text
    return try files { try FactSelection(contentsOf: $0.appendingPathComponent("chosen.json")) }
  }

  @Test(
    "a selection picks by index, in its order, by a relation's name or label in any case, and never of a relation it does not name"
  )
  func selects() throws {
    let chosen = try selection(#"{"P101": [], "P36": [2, 0]}"#)
    #expect(chosen.relationNames == ["P36", "P101"])
    #expect(try chosen.facts(of: relation("P36")).map(\.subject) == ["Arnor", "Gondor"])
    #expect(try chosen.facts(of: relation("P101")) == [])
    #expect(try selection(#"{"seat": [1]}"#).facts(of: relation("P36")).map(\.subject) == ["Rohan"])
    #expect(try selection(#"{"p36": [1]}"#).facts(of: relation("P36")).map(\.subject) == ["Rohan"])
    let error = #expect(throws: RelationError.self) { try selection(#"{"P63": [0]}"#).facts(of: relation("P36")) }
    #expect(error?.description.contains("selects no facts of P36, but of P63") == true)
  }

  @Test("an index out of range is named", arguments: [-1, 3])
  func outOfRange(index: Int) throws {
    let chosen = try selection(#"{"P36": [0, \#(index)]}"#)
    let seat = try relation("P36")
    let error = #expect(throws: RelationError.self) { try chosen.facts(of: seat) }
    #expect(error?.description.contains("fact \(index) of P36, which has 3 facts") == true)
    #expect(error?.description.contains("chosen.json") == true)
  }

  @Test(
    "a malformed selection is refused",
    arguments: ["", "[]", #"{"P36": 1}"#, #"{"P36": ["1"]}"#, #"{"P36": [1.5]}"#, #"{"P36": [1e30]}"#])
  func malformed(text: String) throws {
    do {
      _ = try selection(text)
      Issue.record("took \(text) for a selection")
    } catch RelationError.malformed(let path, _, _) {
      #expect(path.hasSuffix("chosen.json"))
    }
  }
}
