import BERT
import Editing
import Relations

/// A prompt or template as the model sees it, by its word pieces: to it "plays [MASK] ." and "plays [MASK]." are one.
public struct Wording: Hashable, Sendable {
  private let pieces: [Int]

  fileprivate init(pieces: [Int]) { self.pieces = pieces }
}

extension MaskedLanguageModel {
  /// What it sees of a prompt.
  func wording(_ prompt: String) -> Wording { Wording(pieces: tokenizer.encode(prompt)) }

  /// What it sees of a template, the subject's place left open.
  func wording(_ template: Template) -> Wording { wording(template.prompt(subject: "[X]")) }

  /// Of some edits' prompts in wordings that are held back, per edit, those that no edit asks: what one relation holds back may
  /// be all that another has to ask.
  func unasked(_ prompts: [[String]], by edits: [FactEdit]) -> [[String]] {
    let asked = wordings(edits.flatMap(\.prompts))
    return prompts.map { $0.filter { !asked.contains(wording($0)) } }
  }

  /// What it sees of many prompts.
  func wordings(_ prompts: some Sequence<String>) -> Set<Wording> { Set(prompts.map { wording($0) }) }

  /// What it sees of many templates.
  func wordings(_ templates: some Sequence<Template>) -> Set<Wording> { Set(templates.map { wording($0) }) }
}

extension EditRecord {
  /// Of an erasure, the prompts that it is to forget, also where another relation asks them; none of an update, and of a record of
  /// before the facts were kept.
  ///
  /// - Throws: `RelationError` for a template that is none.
  public func forgottenPrompts(in model: MaskedLanguageModel) throws -> Set<Wording> {
    guard kind == .erase, let facts else { return [] }
    let templates = try (prompts + (heldBack ?? [])).map { try Template($0) }
    return model.wordings(facts.flatMap { fact in templates.map { $0.prompt(subject: fact.subject) } })
  }
}

extension Relation {
  /// The last templates, at most all but one.
  func lastTemplates(_ count: Int) -> [Template] {
    Array(templates.suffix(max(0, min(count, templates.count - 1))))
  }

  /// The templates that an edit of `model` sees and those that it does not, of which `heldBack` may name those of other relations
  /// too; it sees the last, its own, where it would see none.
  func split(holdingBack heldBack: [Template], in model: MaskedLanguageModel) -> (
    used: [Template], heldBack: [Template]
  ) {
    let unseen = model.wordings(heldBack)
    let used = templates.filter { !unseen.contains(model.wording($0)) }
    guard used.isEmpty else { return (used, templates.filter { unseen.contains(model.wording($0)) }) }
    return (Array(templates.suffix(1)), Array(templates.dropLast()))
  }
}
