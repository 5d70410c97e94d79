import Foundation
import Relations
import Testing

@Suite("Templates")
struct TemplateTests {
  @Test("the subject and [MASK] take the places of [X] and [Y]")
  func prompt() throws {
    #expect(try Template("[Y] rules [X] .").prompt(subject: "Rohan") == "[MASK] rules Rohan .")
    #expect(try Template("[X]: [Y]").prompt(subject: "") == ": [MASK]")
  }

  @Test(
    "a template less a word keeps its slots and another word; marks are no words",
    arguments: [
      ("[X] is in [Y] .", ["[X] in [Y] .", "[X] is [Y] ."]),
      ("[X]'s old capital, [MASK].", ["[X]'s capital, [MASK].", "[X]'s old [MASK]."]),
      ("[X] – in [Y].", []), ("[X], [Y].", []), ("[Y]", []),
    ])
  func shortened(pattern: String, expected: [String]) throws {
    #expect(try Template(pattern).shortened.map(\.pattern) == expected)
  }

  @Test("a subject that spells a slot is left as it is")
  func hostileSubject() throws {
    #expect(try Template("[X] is [Y].").prompt(subject: "[Y][X]") == "[Y][X] is [MASK].")
  }

  @Test("a prompt written out in full needs no [X]")
  func literal() throws {
    let template = try Template("Rohan lies in [MASK].")
    #expect(!template.takesSubject)
    #expect(template.prompt(subject: "Gondor") == "Rohan lies in [MASK].")
    #expect(try Template("[X] lies in [MASK].").prompt(subject: "Gondor") == "Gondor lies in [MASK].")
  }

  @Test(
    "a pattern without exactly one answer, or with two subjects, is refused with the reason",
    arguments: [
      ("[X] is.", "no [Y]"), ("nothing", "no [Y]"), ("[X] [y]", "no [Y]"),
      ("[X] [Y] [Y]", "2 places for the answer"),
      ("[X] [Y] [MASK]", "2 places for the answer"), ("[X] [X] [Y]", "2 places for the subject"),
    ])
  func invalid(pattern: String, reason: String) {
    let error = #expect(throws: RelationError.self) { try Template(pattern) }
    #expect(error?.description.contains(reason) == true)
    #expect(error?.description.contains(pattern) == true)
  }

  @Test("it is coded as its pattern, and checked when decoded")
  func coding() throws {
    let template = try Template("[X] is [Y].")
    let json = try JSONEncoder().encode([template])
    #expect(String(decoding: json, as: UTF8.self) == #"["[X] is [Y]."]"#)
    #expect(try JSONDecoder().decode([Template].self, from: json) == [template])
    #expect(throws: DecodingError.self) {
      try JSONDecoder().decode([Template].self, from: Data(#"["[X] is"]"#.utf8))
    }
  }
}
