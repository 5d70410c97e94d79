import BERT
import Checkpoint
import FixtureFiles
import Foundation
import Testing

@Suite("Prompts and answers that a model cannot take")
struct PromptTests {
  let model: MaskedLanguageModel

  init() throws { model = try Fixture.open() }

  @Test("a prompt without [MASK]")
  func noMask() {
    #expect(throws: PromptError.noMask("the capital .")) { try model.encode("the capital .") }
  }

  @Test("a prompt with two [MASK]s")
  func twoMasks() {
    #expect(throws: PromptError.severalMasks("[MASK] is [MASK] .", 2)) { try model.encode("[MASK] is [MASK] .") }
  }

  @Test("512 pieces are taken, 513 are not")
  func tooLong() throws {
    // [CLS], [MASK] and [SEP] take three.
    let longest = String(repeating: "the ", count: 509) + "[MASK]"
    #expect(try model.encode(longest).ids.count == 512)
    #expect(model.bert.predict([try model.encode(longest)]) { $1.logProbabilities.allSatisfy(\.isFinite) } == [true])
    let error = #expect(throws: PromptError.self) { try model.encode("the " + longest) }
    #expect(error?.description.contains("513 word pieces") == true)
    #expect(error?.description.contains("at most 512") == true)
  }

  @Test("the subject is where its pieces first stand together, at the last of them")
  func naming() throws {
    let prompt = try model.encode("orvia the capital of orvia is [MASK] .")
    let (orvia, of) = (model.subject("orvia"), model.subject("of"))
    #expect(orvia.count > 1)
    #expect(prompt.subject == nil && prompt.naming([]).subject == nil && prompt.naming(of + of).subject == nil)
    #expect(prompt.naming(orvia).subject == orvia.count, "after [CLS]")
    let last = try #require(model.subject("is").first)
    let next = try #require(prompt.ids.lastIndex(of: last))
    #expect(prompt.naming(of + orvia).subject == next - 1)
    #expect(prompt.naming(Array(repeating: 1, count: 99)).subject == nil)
  }

  @Test("an answer of several pieces, named with its pieces")
  func severalPieces() {
    let error = #expect(throws: ModelError.self) { try model.answer("Asterbord") }
    #expect(error?.description.contains("is not one word piece") == true)
    #expect(throws: ModelError.unknownAnswer("½")) { try model.pieces(of: "½") }
    #expect(throws: ModelError.unknownAnswer("")) { try model.pieces(of: "") }
  }

  @Test("an answer of several pieces has a mask for each, with the pieces before it written in or all masked")
  func factors() throws {
    let vocabulary = model.tokenizer.vocabulary
    let whole = try model.encode("the capital of orvia is [MASK] .").ids
    let start = try #require(whole.firstIndex(of: vocabulary.mask))
    let factors = try model.factors("the capital of orvia is [MASK] .", answer: "Asterb")
    #expect(factors.map(\.answer) == [try model.answer("Aster"), try #require(vocabulary.id(of: "##b"))])
    #expect(factors.map(\.prompt.mask) == [start, start + 1])
    #expect(factors[1].prompt.ids[start] == factors[0].answer)
    let together = try model.factors("the capital of orvia is [MASK] .", answer: "Asterb", order: .together)
    #expect(together[1].prompt.ids[start] == vocabulary.mask && together[0].prompt.ids == together[1].prompt.ids)
    #expect(try model.factors("the capital of orvia is [MASK] .", answer: "Aster")[0].prompt.ids == whole)
  }

  @Test("an answer decoded piece by piece is the arg-max of each question in turn")
  func decoding() throws {
    let prompt = try model.encode("the capital of orvia is [MASK] .")
    // What follows a decoded answer is its own best continuation.
    let said = model.decode([prompt], pieces: 2)[0]
    let factors = try model.factors("the capital of orvia is [MASK] .", answer: said)
    #expect(factors.count == 2)
    #expect(model.bert.predict(factors.map(\.prompt)) { $1.best } == factors.map(\.answer))
    let vocabulary = model.tokenizer.vocabulary
    #expect(
      try model.text([model.answer("Aster"), #require(vocabulary.id(of: "##b")), model.answer("the")]) == "Asterb the")
  }

  @Test("a vocabulary whose length is not config.json's")
  func vocabularyLength() throws {
    try FixtureFiles.withCopy(of: "keras") { directory in
      let url = directory.appending(path: "vocab.txt")
      try (String(contentsOf: url, encoding: .utf8) + "extra\n").write(to: url, atomically: true, encoding: .utf8)
      let error = #expect(throws: ModelError.self) { try MaskedLanguageModel(opening: directory) }
      #expect(error == .vocabularyLength(path: url.path, found: 90, expected: 89))
    }
  }
}
