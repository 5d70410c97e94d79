/// A sentence that states a relation, with one slot for the answer and usually one for the subject.
///
/// `[X]` stands for the subject and `[Y]` for the answer, as in PARAREL (Elazar et al., 2021). A prompt
/// written out in full may hold `[MASK]` in place of `[Y]` and no `[X]`. Encoded as the pattern alone.
public struct Template: Sendable, Hashable {
  /// The text with its slots.
  public let pattern: String

  static let subjectSlot = "[X]"
  static let answerSlot = "[Y]"
  static let mask = "[MASK]"

  /// Takes a pattern that holds exactly one `[Y]` or `[MASK]` and at most one `[X]`.
  ///
  /// - Throws: `RelationError.invalidTemplate`, saying what is missing or too much.
  public init(_ pattern: String) throws(RelationError) {
    let answers = Self.count(Self.answerSlot, in: pattern) + Self.count(Self.mask, in: pattern)
    if answers == 0 {
      throw .invalidTemplate(
        pattern: pattern, reason: "has no [Y] or [MASK] where the answer should go; add one")
    }
    if answers > 1 {
      throw .invalidTemplate(
        pattern: pattern, reason: "has \(answers) places for the answer; keep exactly one [Y] or [MASK]")
    }
    let subjects = Self.count(Self.subjectSlot, in: pattern)
    if subjects > 1 {
      throw .invalidTemplate(
        pattern: pattern, reason: "has \(subjects) places for the subject; keep at most one [X]")
    }
    self.pattern = pattern
  }

  /// Whether the pattern has a place for the subject.
  public var takesSubject: Bool { Self.count(Self.subjectSlot, in: pattern) == 1 }

  /// The sentence about `subject` with `[MASK]` for the answer.
  ///
  /// The slots are those of the pattern: a subject that happens to spell `[Y]` is left as it is.
  public func prompt(subject: String) -> String {
    let parts = pattern.split(separator: Self.subjectSlot, omittingEmptySubsequences: false)
    return parts.map { $0.replacing(Self.answerSlot, with: Self.mask) }.joined(separator: subject)
  }

  /// The same sentence with one word left out, for each word without which it still has another besides its slots.
  ///
  /// Words are what spaces separate; marks by themselves are none.
  public var shortened: [Template] {
    let words = pattern.split(separator: " ").map(String.init)
    func isWord(_ word: String) -> Bool {
      ![Self.subjectSlot, Self.answerSlot, Self.mask].contains(where: word.contains) && word.contains(where: \.isLetter)
    }
    let own = words.indices.filter { isWord(words[$0]) }
    guard own.count > 1 else { return [] }
    return own.compactMap { left in
      try? Template(words.indices.filter { $0 != left }.map { words[$0] }.joined(separator: " "))
    }
  }

  private static func count(_ slot: String, in pattern: String) -> Int {
    pattern.ranges(of: slot).count
  }
}

extension Template: Codable {
  /// Reads a pattern; one that is not valid is a `DecodingError.dataCorrupted`.
  public init(from decoder: any Decoder) throws {
    let container = try decoder.singleValueContainer()
    let pattern = try container.decode(String.self)
    do throws(RelationError) {
      try self.init(pattern)
    } catch {
      throw DecodingError.dataCorruptedError(in: container, debugDescription: error.description)
    }
  }

  /// Writes the pattern as one string.
  public func encode(to encoder: any Encoder) throws {
    var container = encoder.singleValueContainer()
    try container.encode(pattern)
  }
}
