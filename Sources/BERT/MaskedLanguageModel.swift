import Checkpoint
import Foundation
import Kernels
import Tokenization

/// An opened checkpoint with its tokenizer and weights: what turns text into predictions.
public struct MaskedLanguageModel: Sendable {
  /// The files.
  public let checkpoint: Checkpoint
  /// The tokenizer.
  public let tokenizer: WordPieceTokenizer
  /// The model.
  public let bert: BERT

  /// Opens a model directory, or a weights file with config.json and vocab.txt beside it.
  ///
  /// - Throws: `CheckpointError`, `VocabularyError`, or ``ModelError`` when the vocabulary's length is not config.json's.
  public init(opening url: URL) throws {
    let checkpoint = try Checkpoint.open(url)
    let tokenizer = try WordPieceTokenizer.open(directory: checkpoint.directory)
    guard tokenizer.vocabulary.count == checkpoint.configuration.vocabularySize else {
      throw ModelError.vocabularyLength(
        path: checkpoint.vocabularyFile.path, found: tokenizer.vocabulary.count,
        expected: checkpoint.configuration.vocabularySize)
    }
    self.checkpoint = checkpoint
    self.tokenizer = tokenizer
    bert = BERT(configuration: checkpoint.configuration, weights: try checkpoint.weights())
  }

  private init(checkpoint: Checkpoint, tokenizer: WordPieceTokenizer, bert: BERT) {
    self.checkpoint = checkpoint
    self.tokenizer = tokenizer
    self.bert = bert
  }

  /// The model with some value slots replaced, in memory; the files stay as they are.
  public func replacing(_ slots: [ValueSlot]) -> MaskedLanguageModel {
    MaskedLanguageModel(checkpoint: checkpoint, tokenizer: tokenizer, bert: bert.replacing(slots))
  }

  /// The model with weights laid out for short prompts that are asked one by one, see ``BERT/packed(threads:)``.
  public func packed(threads: ThreadCount = .allCores) -> MaskedLanguageModel {
    MaskedLanguageModel(checkpoint: checkpoint, tokenizer: tokenizer, bert: bert.packed(threads: threads))
  }

  /// Encodes a prompt.
  ///
  /// - Throws: For one without exactly one `[MASK]`, or with more word pieces than the model has positions.
  public func encode(_ prompt: String) throws(PromptError) -> EncodedPrompt {
    try EncodedPrompt(prompt, tokenizer: tokenizer, maximumPositions: bert.configuration.maximumPositions)
  }

  /// The word piece that is `answer`.
  ///
  /// - Throws: ``ModelError/notOnePiece(answer:pieces:)`` for an answer that takes several pieces, or
  ///   ``ModelError/unknownAnswer(_:)``.
  public func answer(_ answer: String) throws(ModelError) -> Int {
    let pieces = try pieces(of: answer)
    guard pieces.count == 1 else { throw .notOnePiece(answer: answer, pieces: pieces.map(piece)) }
    return pieces[0]
  }

  /// The word piece with that id, as text.
  public func piece(_ id: Int) -> String { tokenizer.vocabulary.piece(id) }
}
