import Foundation
import Relations
import Testing

@Suite("Relation catalogue")
struct RelationCatalogueTests {
  @Test("names are in natural order, and every relation has its label, templates and facts")
  func reads() throws {
    try TemporaryCatalogue()() { directory in
      let catalogue = try RelationCatalogue(directory: directory)
      #expect(catalogue.names == ["P36", "P101"])
      #expect(try catalogue.all.map(\.name) == ["P36", "P101"])
      let relation = try catalogue.relation(named: "P36")
      #expect(relation.label == "seat")
      #expect(relation.templates.map(\.pattern) == ["The seat of [X] is [Y].", "[Y] rules [X] ."])
      #expect(relation.facts.first == Fact(relation: "P36", subject: "Gondor", answer: "Tirith"))
      #expect(
        relation.prompts(for: relation.facts[1]) == ["The seat of Rohan is [MASK].", "[MASK] rules Rohan ."])
      #expect(relation.answers == ["Annuminas", "Edoras", "Tirith"])
    }
  }

  @Test("labels.json is optional: then the name is the label")
  func noLabels() throws {
    var files = TemporaryCatalogue()
    files.files["labels.json"] = nil
    try files { directory in
      let relation = try RelationCatalogue(directory: directory).relation(named: "P36")
      #expect(relation.label == "P36")
    }
  }

  @Test(
    "a name in another case or a label names the relation",
    arguments: ["p101", "field of work", "FIELD OF WORK"])
  func byLabel(name: String) throws {
    try TemporaryCatalogue()() { directory in
      let relation = try RelationCatalogue(directory: directory).relation(named: name)
      #expect(relation.name == "P101")
    }
  }

  @Test("a label of two relations is refused, naming both")
  func ambiguousLabel() throws {
    var files = TemporaryCatalogue()
    files.files["labels.json"] = #"{"P36": "seat", "P101": "Seat"}"#
    try files { directory in
      let catalogue = try RelationCatalogue(directory: directory)
      #expect(
        throws: RelationError.ambiguousLabel(
          label: "seat", directory: directory.path, names: ["P36", "P101"])
      ) {
        try catalogue.relation(named: "seat")
      }
    }
  }

  @Test(
    "an unknown name gets its near misses",
    arguments: [("P63", ["P36"]), ("P10", ["P101"]), ("saet", ["seat"]), ("Q9999", [])])
  func unknown(name: String, suggestions: [String]) throws {
    try TemporaryCatalogue()() { directory in
      let catalogue = try RelationCatalogue(directory: directory)
      #expect(
        throws: RelationError.unknownRelation(
          name: name, directory: directory.path, suggestions: suggestions, present: ["P36", "P101"])
      ) {
        try catalogue.relation(named: name)
      }
    }
  }

  @Test("a missing directory, facts.json or patterns file is named")
  func missing() throws {
    try TemporaryCatalogue()() { directory in
      let nowhere = directory.appendingPathComponent("nowhere")
      let error = #expect(throws: RelationError.self) { try RelationCatalogue(directory: nowhere) }
      #expect(error?.description.contains(nowhere.path) == true)
      let file = directory.appendingPathComponent("labels.json")
      #expect(throws: RelationError.self) { try RelationCatalogue(directory: file) }
    }
    for path in ["facts.json", "patterns/P36.jsonl"] {
      var files = TemporaryCatalogue()
      files.files[path] = nil
      try files { directory in
        let error = #expect(throws: RelationError.self) {
          try RelationCatalogue(directory: directory).relation(named: "P36")
        }
        #expect(error?.description.contains(path) == true)
      }
    }
  }

  /// A file, its broken text, and words that the error must hold.
  static let broken: [(path: String, text: String, words: [String])] = [
    ("facts.json", "{\"P36\":\n [[\"a\", }", ["facts.json", "not JSON", "line 2"]),
    ("facts.json", "[]", ["facts.json", "wrong type"]),
    ("facts.json", #"{"P36": [["a", "b"], ["a", "b", "c"]]}"#, ["P36, entry 1", "3 values"]),
    ("facts.json", #"{"P36": [["a"]]}"#, ["P36, entry 0", "1 values"]),
    ("facts.json", #"{"P36": [["a", 3]]}"#, ["P36, entry 0", "wrong type"]),
    ("facts.json", #"{"P36": ["ab"]}"#, ["P36, entry 0", "wrong type"]),
    ("facts.json", #"{"../P36": []}"#, ["../P36", "cannot name"]),
    ("labels.json", #"{"P36": 3}"#, ["labels.json", "P36"]),
    ("patterns/P36.jsonl", "{\"pattern\": \"[X] [Y]\"}\n{\"pattern\"", ["P36.jsonl, line 2", "not JSON"]),
    ("patterns/P36.jsonl", "\n{\"lemma\": \"x\"}", ["P36.jsonl, line 2", "\"pattern\""]),
    ("patterns/P36.jsonl", "{\"pattern\": \"no [Y]\"}", ["P36.jsonl, line 1", "[X]"]),
    ("patterns/P36.jsonl", "{\"pattern\": \"no [X]\"}", ["P36.jsonl, line 1", "[Y]"]),
    ("patterns/P36.jsonl", "\n", ["P36.jsonl", "no pattern"]),
  ]

  @Test("a malformed file is named with the place and the reason", arguments: broken.indices)
  func malformed(index: Int) throws {
    let example = Self.broken[index]
    var files = TemporaryCatalogue()
    files.files[example.path] = example.text
    try files { directory in
      let error = #expect(throws: RelationError.self) {
        try RelationCatalogue(directory: directory).relation(named: "P36")
      }
      for words in example.words {
        #expect(
          error?.description.contains(words) == true, "\(error?.description ?? "no error") lacks \(words)")
      }
    }
  }
}
