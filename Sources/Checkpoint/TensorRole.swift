/// What a tensor is in a BERT model, whatever the file calls it.
///
/// A role's text is the name that PyTorch gives it, with `weight` and `bias` also for normalisations.
struct TensorRole: Sendable, Hashable, CustomStringConvertible {
  /// The PyTorch name.
  let description: String
  /// The expected shape; of a matrix as PyTorch has it, `[out, in]`.
  let shape: [Int]
  /// Whether it is the matrix of a projection, which other layouts store as `[in, out]`.
  let isProjection: Bool

  static func output(layer: Int, _ c: BERTConfiguration) -> TensorRole {
    TensorRole(
      description: "bert.encoder.layer.\(layer).output.dense.weight",
      shape: [c.hiddenSize, c.intermediateSize],
      isProjection: true)
  }

  /// All roles that a masked language model of this configuration has.
  static func all(_ c: BERTConfiguration) -> [TensorRole] {
    var roles: [TensorRole] = []
    let h = c.hiddenSize
    func vector(_ name: String, _ size: Int) {
      roles.append(TensorRole(description: name, shape: [size], isProjection: false))
    }
    func table(_ name: String, _ rows: Int) {
      roles.append(TensorRole(description: name, shape: [rows, h], isProjection: false))
    }
    func dense(_ name: String, _ input: Int, _ output: Int) {
      roles.append(TensorRole(description: name + ".weight", shape: [output, input], isProjection: true))
      vector(name + ".bias", output)
    }
    func norm(_ name: String) {
      vector(name + ".weight", h)
      vector(name + ".bias", h)
    }
    table("bert.embeddings.word_embeddings.weight", c.vocabularySize)
    table("bert.embeddings.position_embeddings.weight", c.maximumPositions)
    table("bert.embeddings.token_type_embeddings.weight", c.typeVocabularySize)
    norm("bert.embeddings.LayerNorm")
    for layer in 0..<c.layerCount {
      let prefix = "bert.encoder.layer.\(layer)."
      for part in ["query", "key", "value"] { dense(prefix + "attention.self." + part, h, h) }
      dense(prefix + "attention.output.dense", h, h)
      norm(prefix + "attention.output.LayerNorm")
      dense(prefix + "intermediate.dense", h, c.intermediateSize)
      dense(prefix + "output.dense", c.intermediateSize, h)
      norm(prefix + "output.LayerNorm")
    }
    dense("cls.predictions.transform.dense", h, h)
    norm("cls.predictions.transform.LayerNorm")
    vector("cls.predictions.bias", c.vocabularySize)
    return roles
  }
}
