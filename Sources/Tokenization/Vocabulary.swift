import Foundation

/// The word pieces a BERT model knows, numbered by their line in `vocab.txt`.
///
/// Pieces are told apart by their exact Unicode scalars: `é` as one scalar and `e` with a combining accent
/// are two pieces, though Swift's `==` calls these strings equal.
public struct Vocabulary: Sendable {
  private let pieces: [String]
  let trie: PieceTrie

  /// The id of `[PAD]`.
  public let pad: Int
  /// The id of `[UNK]`, which stands for every word that the vocabulary cannot spell.
  public let unknown: Int
  /// The id of `[CLS]`, which opens every sequence.
  public let cls: Int
  /// The id of `[SEP]`, which closes every sequence.
  public let sep: Int
  /// The id of `[MASK]`, the piece a masked language model fills in.
  public let mask: Int

  /// Whether any piece holds a letter that lower-casing would change, the five special pieces aside.
  ///
  /// An uncased model's vocabulary holds none, so this tells the two kinds of checkpoint apart.
  public let isCased: Bool

  /// The number of lines of the vocabulary, repeated pieces included: the rows of the embedding matrix.
  public var count: Int { pieces.count }

  /// Takes `pieces` in the order of their ids; of equal pieces the later id wins.
  ///
  /// - Throws: `VocabularyError.missingSpecialPiece` unless `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]`
  ///   are there.
  public init(pieces: [String]) throws(VocabularyError) {
    try self.init(pieces: pieces, origin: "the vocabulary")
  }

  /// Reads a `vocab.txt`: UTF-8, one piece a line.
  ///
  /// Lines end where Python's text mode ends them (line feed, carriage return, or both together) and nowhere
  /// else, so that a piece may hold any other Unicode separator. A last line without an end counts too.
  ///
  /// - Throws: `VocabularyError` when the file cannot be read, is not UTF-8, or lacks a special piece.
  public init(contentsOf url: URL) throws(VocabularyError) {
    let data: Data
    do {
      data = try Data(contentsOf: url)
    } catch {
      throw .unreadable(path: url.path, reason: error.localizedDescription)
    }
    var pieces: [String] = []
    for line in Self.lines(of: [UInt8](data)) {
      guard let piece = String(validating: line, as: UTF8.self) else {
        throw .notUTF8(path: url.path, line: pieces.count + 1)
      }
      pieces.append(piece)
    }
    try self.init(pieces: pieces, origin: url.path)
  }

  private init(pieces: [String], origin: String) throws(VocabularyError) {
    var trie = PieceTrie()
    for (id, piece) in pieces.enumerated() { trie.insert(piece, id: id) }
    func special(_ piece: SpecialPiece) throws(VocabularyError) -> Int {
      guard let id = trie.node(reading: piece.rawValue.utf8).flatMap(trie.id(at:)) else {
        throw .missingSpecialPiece(piece: piece.rawValue, origin: origin, count: pieces.count)
      }
      return id
    }
    pad = try special(.pad)
    unknown = try special(.unknown)
    cls = try special(.cls)
    sep = try special(.sep)
    mask = try special(.mask)
    let specials = SpecialPiece.allCases.map(\.rawValue)
    isCased = pieces.contains { piece in
      piece.unicodeScalars.contains(where: Self.changesWhenLowered) && !specials.contains(piece)
    }
    self.pieces = pieces
    self.trie = trie
  }

  /// The id of `piece`, compared scalar by scalar; nil when the vocabulary does not hold it.
  ///
  /// - Complexity: O(bytes of `piece`).
  public func id(of piece: String) -> Int? {
    trie.node(reading: piece.utf8).flatMap(trie.id(at:))
  }

  /// The piece with this id; `[UNK]` for an id outside `0..<count`.
  public func piece(_ id: Int) -> String {
    pieces.indices.contains(id) ? pieces[id] : SpecialPiece.unknown.rawValue
  }

  /// Some letters are upper-case by category and have no lower-case form (ℝ); uncased vocabularies do hold
  /// those.
  private static func changesWhenLowered(_ scalar: Unicode.Scalar) -> Bool {
    if scalar.isASCII { return ("A"..."Z").contains(scalar) }
    return scalar.properties.changesWhenLowercased
  }

  private static func lines(of bytes: [UInt8]) -> [ArraySlice<UInt8>] {
    let lineFeed = UInt8(ascii: "\n")
    let carriageReturn = UInt8(ascii: "\r")
    var lines: [ArraySlice<UInt8>] = []
    var start = 0
    var position = 0
    while position < bytes.count {
      let byte = bytes[position]
      if byte == lineFeed || byte == carriageReturn {
        lines.append(bytes[start..<position])
        if byte == carriageReturn, position + 1 < bytes.count, bytes[position + 1] == lineFeed {
          position += 1
        }
        start = position + 1
      }
      position += 1
    }
    if start < bytes.count { lines.append(bytes[start...]) }
    return lines
  }
}
