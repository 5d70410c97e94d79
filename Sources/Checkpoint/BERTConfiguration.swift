import Foundation

/// What config.json says of a BERT model.
public struct BERTConfiguration: Sendable, Hashable {
  /// Width of the hidden states.
  public let hiddenSize: Int
  /// Number of encoder layers.
  public let layerCount: Int
  /// Attention heads per layer.
  public let headCount: Int
  /// Neurons (intermediate units) per layer.
  public let intermediateSize: Int
  /// Word pieces.
  public let vocabularySize: Int
  /// Longest input in word pieces.
  public let maximumPositions: Int
  /// Segment types.
  public let typeVocabularySize: Int
  /// LayerNorm's ε.
  public let layerNormEpsilon: Double

  private struct File: Decodable {
    var hiddenSize, numHiddenLayers, numAttentionHeads, intermediateSize, vocabSize: Int?
    var maxPositionEmbeddings, typeVocabSize: Int?
    var layerNormEps: Double?
    var hiddenAct, modelType, positionEmbeddingType: String?
    var isDecoder, tieWordEmbeddings: Bool?
  }

  /// Reads and checks a config.json.
  ///
  /// - Throws: ``CheckpointError/badConfiguration(path:reason:)`` naming the key at fault.
  public init(contentsOf url: URL) throws(CheckpointError) {
    func bad(_ reason: String) -> CheckpointError { .badConfiguration(path: url.path, reason: reason) }
    let data: Data
    do { data = try Data(contentsOf: url) } catch {
      guard !FileManager.default.fileExists(atPath: url.path) else { throw bad("it cannot be opened") }
      throw .missingFile(path: url.path, advice: "a model directory needs its config.json")
    }
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    let file: File
    do { file = try decoder.decode(File.self, from: data) } catch DecodingError.typeMismatch(_, let context) {
      guard !context.codingPath.isEmpty else { throw bad("it is not a JSON object") }
      throw bad("key \(Self.key(context)) has the wrong type")
    } catch {
      let isObject = (try? JSONSerialization.jsonObject(with: data)) is [String: Any]
      throw bad(
        isObject ? "a number in it is not whole, or too large, where a size is meant" : "it is not a JSON object")
    }
    func size(_ key: String, _ value: Int?, default fallback: Int? = nil) throws(CheckpointError) -> Int {
      guard let value = value ?? fallback else { throw bad("key \(key) is missing") }
      guard value > 0, value < 1 << 22 else { throw bad("\(key) is \(value), which is no sensible size") }
      return value
    }
    hiddenSize = try size("hidden_size", file.hiddenSize)
    layerCount = try size("num_hidden_layers", file.numHiddenLayers)
    headCount = try size("num_attention_heads", file.numAttentionHeads)
    intermediateSize = try size("intermediate_size", file.intermediateSize)
    vocabularySize = try size("vocab_size", file.vocabSize)
    maximumPositions = try size("max_position_embeddings", file.maxPositionEmbeddings, default: 512)
    typeVocabularySize = try size("type_vocab_size", file.typeVocabSize, default: 2)
    layerNormEpsilon = file.layerNormEps ?? 1e-12
    guard layerCount <= 1024 else {
      throw bad("num_hidden_layers is \(layerCount), which is no sensible size")
    }
    guard hiddenSize % headCount == 0 else {
      throw bad("hidden_size \(hiddenSize) is no multiple of num_attention_heads \(headCount)")
    }
    guard layerNormEpsilon.isFinite, layerNormEpsilon >= 0 else {
      throw bad("layer_norm_eps is not sensible")
    }
    guard (file.hiddenAct ?? "gelu") == "gelu" else {
      throw bad("hidden_act is \(file.hiddenAct ?? ""), and only gelu (the exact one) is supported")
    }
    guard (file.modelType ?? "bert") == "bert" else {
      throw bad("model_type is \(file.modelType ?? ""), and only bert is supported")
    }
    guard (file.positionEmbeddingType ?? "absolute") == "absolute" else {
      throw bad(
        "position_embedding_type is \(file.positionEmbeddingType ?? ""), and only absolute is supported")
    }
    guard file.isDecoder != true else { throw bad("is_decoder is true, and only encoders are supported") }
    guard file.tieWordEmbeddings != false else {
      throw bad("tie_word_embeddings is false, and only models whose decoder is the embeddings are supported")
    }
  }

  /// The key at fault as the file spells it.
  private static func key(_ context: DecodingError.Context) -> String {
    context.codingPath.map { $0.stringValue.replacing(/[A-Z]/) { "_" + $0.output.lowercased() } }.joined(separator: ".")
  }
}
