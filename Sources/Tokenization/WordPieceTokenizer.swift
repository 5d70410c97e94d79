/// Turns text into BERT's word pieces, piece for piece as Hugging Face's `BertTokenizer` does.
///
/// The text is cut at the special pieces it spells out (`[MASK]`, even inside a word); the rest is cleaned,
/// split at white space, punctuation and CJK ideographs, and each word is spelled greedily with the longest
/// pieces of the vocabulary, those after the first marked `##` (Wu et al., 2016; Devlin et al., 2019).
///
/// ```swift
/// let tokenizer = try WordPieceTokenizer.open(directory: checkpoint)
/// tokenizer.tokenize("Paris is the capital of [MASK].")
/// ```
public struct WordPieceTokenizer: Sendable {
  /// The pieces and their ids.
  public let vocabulary: Vocabulary
  /// Whether text is lower-cased and its accents stripped first, as for BERT's uncased models.
  public let lowercases: Bool

  private let splitter: WordSplitter
  /// Where the pieces that continue a word begin; nil in a vocabulary without any.
  private let continuation: PieceTrie.Node?

  /// A longer word is `[UNK]` without a look at the vocabulary, as in the reference.
  private static let longestWord = 100

  /// Tokenizes with `vocabulary`, lower-casing and stripping accents first when `lowercases` is set.
  public init(vocabulary: Vocabulary, lowercases: Bool) {
    self.vocabulary = vocabulary
    self.lowercases = lowercases
    splitter = WordSplitter(lowercases: lowercases)
    continuation = vocabulary.trie.node(reading: "##".utf8)
  }

  /// The pieces of `text` as strings, without `[CLS]` and `[SEP]`.
  ///
  /// - Complexity: O(bytes of `text` × length of the longest piece).
  public func tokenize(_ text: String) -> [String] {
    pieces(of: text).map(vocabulary.piece)
  }

  /// The ids of the pieces of `text`, without `[CLS]` and `[SEP]`.
  ///
  /// - Complexity: O(bytes of `text` × length of the longest piece).
  public func pieces(of text: String) -> [Int] {
    var ids: [Int] = []
    appendPieces(of: text, to: &ids)
    return ids
  }

  /// The ids a model reads for `text`: `[CLS]`, the pieces, `[SEP]`; never truncated.
  ///
  /// - Complexity: O(bytes of `text` × length of the longest piece).
  public func encode(_ text: String) -> [Int] {
    var ids = [vocabulary.cls]
    appendPieces(of: text, to: &ids)
    ids.append(vocabulary.sep)
    return ids
  }

  private func appendPieces(of text: String, to ids: inout [Int]) {
    let bytes = Array(text.utf8)
    var start = 0
    var position = 0
    while position < bytes.count {
      guard let length = SpecialPiece.length(in: bytes, at: position) else {
        position += 1
        continue
      }
      appendOrdinary(bytes[start..<position], to: &ids)
      start = position + length
      position = start
      // The spelling is known to be a special piece, and every vocabulary holds all five.
      if let node = vocabulary.trie.node(reading: bytes[start - length..<start]) {
        ids.append(vocabulary.trie.id(at: node) ?? vocabulary.unknown)
      }
    }
    appendOrdinary(bytes[start...], to: &ids)
  }

  private func appendOrdinary(_ text: ArraySlice<UInt8>, to ids: inout [Int]) {
    if text.isEmpty { return }
    splitter.forEachWord(in: text) { word, scalars in
      spell(word, scalars: scalars, into: &ids)
    }
  }

  /// Appends the pieces of one word, or `[UNK]` alone when some part of it has none.
  private func spell(_ word: ArraySlice<UInt8>, scalars: Int, into ids: inout [Int]) {
    let before = ids.count
    var rest = word
    var node: PieceTrie.Node? = scalars > Self.longestWord ? nil : vocabulary.trie.root
    while !rest.isEmpty {
      guard let from = node, let (id, end) = vocabulary.trie.longestMatch(from: from, in: rest) else {
        ids.removeSubrange(before...)
        ids.append(vocabulary.unknown)
        return
      }
      ids.append(id)
      rest = rest[end...]
      node = continuation
    }
  }
}
