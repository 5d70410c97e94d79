import Kernels
import Tokenization

/// How the probability of an answer of several word pieces is put together.
///
/// The prompt holds as many `[MASK]`s as the answer has pieces, and P(answer) is the product over its pieces.
public enum AnswerOrder: String, Sendable, Hashable, Codable, CaseIterable {
  /// Each piece is predicted with the ones before it written in: P(a₁)·P(a₂ | a₁)·…
  case leftToRight = "left-to-right"
  /// All pieces are predicted while all are masked.
  case together
}

extension MaskedLanguageModel {
  /// The word pieces of `answer`.
  ///
  /// - Throws: ``ModelError/unknownAnswer(_:)`` where the vocabulary cannot spell it.
  public func pieces(of answer: String) throws(ModelError) -> [Int] {
    let pieces = tokenizer.pieces(of: answer)
    let isSpelled = !pieces.isEmpty && !pieces.contains(tokenizer.vocabulary.unknown)
    // A piece of the vocabulary that the tokenizer would cut up, such as ##land, is meant as it is.
    if !isSpelled || pieces.count > 1, let id = tokenizer.vocabulary.id(of: answer) { return [id] }
    guard isSpelled else { throw .unknownAnswer(answer) }
    return pieces
  }

  /// The word pieces of a subject.
  public func subject(_ subject: String) -> [Int] { tokenizer.pieces(of: subject) }

  /// Refuses a subject that the vocabulary cannot spell: an edit would meet every other one that it cannot spell, too.
  ///
  /// - Throws: ``ModelError/unknownSubject(_:)``.
  public func requireSpelled(subject: String) throws(ModelError) {
    guard !self.subject(subject).contains(tokenizer.vocabulary.unknown) else { throw .unknownSubject(subject) }
  }

  /// The questions, one per word piece of `answer`, whose probabilities multiply to P(answer).
  ///
  /// - Parameters:
  ///   - prompt: A text with one `[MASK]` where the answer belongs; it stands for as many as the answer has pieces.
  ///   - answer: The answer.
  ///   - order: What each piece's question shows of the others.
  /// - Throws: `PromptError` or ``ModelError`` for a prompt or answer that the model cannot take.
  public func factors(
    _ prompt: String, answer: String, order: AnswerOrder = .leftToRight
  ) throws -> [AttributionTarget] {
    let pieces = try pieces(of: answer)
    let encoded = try encode(prompt)
    let length = encoded.ids.count + pieces.count - 1
    guard length <= bert.configuration.maximumPositions else {
      throw PromptError.tooLong(prompt, length, bert.configuration.maximumPositions)
    }
    return pieces.indices.map { position in
      let written = order == .leftToRight ? Array(pieces.prefix(position)) : []
      return AttributionTarget(
        prompt: encoded.asking(for: position, of: pieces.count, written: written), answer: pieces[position])
    }
  }

  /// What the model writes into `count` masks, piece by piece.
  ///
  /// - Parameter prompts: Prompts with one mask each, which stands for `count`.
  /// - Complexity: a forward pass of every prompt for each piece.
  public func decode(
    _ prompts: [EncodedPrompt], pieces count: Int, order: AnswerOrder = .leftToRight, threads: ThreadCount = .allCores
  ) -> [String] {
    var written = prompts.map { _ in [Int]() }
    for position in 0..<count {
      let asked = zip(prompts, written).map {
        $0.asking(for: position, of: count, written: order == .leftToRight ? $1 : [])
      }
      for (index, best) in bert.predict(asked, threads: threads, read: { $1.best }).enumerated() {
        written[index].append(best)
      }
    }
    return written.map(text)
  }

  /// Word pieces as text: those that continue a word without a space before them.
  public func text(_ pieces: [Int]) -> String {
    guard pieces.count > 1 else { return pieces.first.map(piece) ?? "" }
    return pieces.enumerated().map { position, id in
      let piece = piece(id)
      if piece.hasPrefix("##"), position > 0 { return String(piece.dropFirst(2)) }
      return position > 0 ? " " + piece : piece
    }.joined()
  }
}
