import Tokenization

/// Word pieces of a prompt and the `[MASK]` that it asks for, the only one but for answers of several pieces.
public struct EncodedPrompt: Sendable, Hashable {
  /// Word-piece ids, `[CLS]` and `[SEP]` included.
  public let ids: [Int]
  /// Position in ``ids`` of the `[MASK]` asked for.
  public let mask: Int
  /// Position in ``ids`` of the last word piece of the subject, where it is known.
  public private(set) var subject: Int?

  /// Encodes `text`.
  ///
  /// - Throws: ``PromptError`` when `text` has no or several `[MASK]`, or more pieces than the model has positions.
  public init(_ text: String, tokenizer: WordPieceTokenizer, maximumPositions: Int) throws(PromptError) {
    let ids = tokenizer.encode(text)
    let masks = ids.indices.filter { ids[$0] == tokenizer.vocabulary.mask }
    guard let mask = masks.first else { throw .noMask(text) }
    guard masks.count == 1 else { throw .severalMasks(text, masks.count) }
    guard ids.count <= maximumPositions else { throw .tooLong(text, ids.count, maximumPositions) }
    self.ids = ids
    self.mask = mask
  }

  private init(ids: [Int], mask: Int) {
    self.ids = ids
    self.mask = mask
  }

  /// The prompt with its ``subject``: the last piece of the first place where `pieces` stand, if they do.
  public func naming(_ pieces: [Int]) -> EncodedPrompt {
    var result = self
    let starts = ids.indices.prefix(max(0, ids.count - pieces.count + 1))
    let start = pieces.isEmpty ? nil : starts.first { ids[$0..<$0 + pieces.count].elementsEqual(pieces) }
    result.subject = start.map { $0 + pieces.count - 1 }
    return result
  }

  /// The prompt with `count` masks in place of its one, the first of them with `written` in them, asking for the mask
  /// at `position` of those.
  ///
  /// - Precondition: `position` is below `count` and not yet written.
  func asking(for position: Int, of count: Int, written: [Int]) -> EncodedPrompt {
    precondition((written.count...position).contains(position) && position < count)
    let answer = written + Array(repeating: ids[mask], count: count - written.count)
    return EncodedPrompt(ids: ids[..<mask] + answer + ids[(mask + 1)...], mask: mask + position)
  }
}
