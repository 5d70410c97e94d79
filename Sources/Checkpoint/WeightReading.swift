import Foundation
import HDF5
import Tensors

extension Checkpoint {
  /// Reads the weights.
  ///
  /// Little-endian float32 data in one piece are mapped where they lie; anything else is converted into one
  /// allocation per tensor. No tensor is ever held twice.
  /// - Throws: ``CheckpointError``, also for a weight that is a NaN or an infinity.
  public func weights() throws(CheckpointError) -> BERTWeights {
    let reader = try WeightReader(self)
    func tensor(_ role: String) throws(CheckpointError) -> Tensor { try reader.tensor(entry(role)) }
    func dense(_ name: String) throws(CheckpointError) -> BERTWeights.Projection {
      BERTWeights.Projection(
        weight: try tensor(name + ".weight"), orientation: orientation, bias: try tensor(name + ".bias"))
    }
    func norm(_ name: String) throws(CheckpointError) -> BERTWeights.Normalization {
      BERTWeights.Normalization(scale: try tensor(name + ".weight"), shift: try tensor(name + ".bias"))
    }
    var layers: [BERTWeights.Layer] = []
    for index in 0..<configuration.layerCount {
      let prefix = "bert.encoder.layer.\(index)."
      layers.append(
        BERTWeights.Layer(
          query: try dense(prefix + "attention.self.query"), key: try dense(prefix + "attention.self.key"),
          value: try dense(prefix + "attention.self.value"),
          attentionOutput: try dense(prefix + "attention.output.dense"),
          attentionNorm: try norm(prefix + "attention.output.LayerNorm"),
          intermediate: try dense(prefix + "intermediate.dense"), output: try dense(prefix + "output.dense"),
          outputNorm: try norm(prefix + "output.LayerNorm")))
    }
    return BERTWeights(
      wordEmbeddings: try tensor("bert.embeddings.word_embeddings.weight"),
      positionEmbeddings: try tensor("bert.embeddings.position_embeddings.weight"),
      typeEmbeddings: try tensor("bert.embeddings.token_type_embeddings.weight"),
      embeddingNorm: try norm("bert.embeddings.LayerNorm"), layers: layers,
      headTransform: try dense("cls.predictions.transform.dense"),
      headNorm: try norm("cls.predictions.transform.LayerNorm"),
      decoderBias: try tensor("cls.predictions.bias"))
  }
}

/// Reads tensors of one weights file.
struct WeightReader {
  private let url: URL
  private let mapped: TensorStorage?
  private let bytes: Data?
  private let file: File?

  init(_ checkpoint: Checkpoint) throws(CheckpointError) {
    url = checkpoint.weightsFile
    mapped = TensorStorage(mapping: url)
    if case .safetensors = checkpoint.format {
      file = nil
      do { bytes = try Data(contentsOf: url, options: .alwaysMapped) } catch {
        throw .unreadable(path: url.path, reason: "it cannot be opened")
      }
    } else {
      bytes = nil
      do { file = try File.open(url) } catch {
        throw .unreadable(path: url.path, reason: error.reason(within: url))
      }
    }
  }

  /// The values of a tensor whose shape has been checked.
  func tensor(_ entry: TensorEntry) throws(CheckpointError) -> Tensor {
    let tensor = try values(entry)
    if let index = tensor.firstNonFinite { throw .notFinite(name: entry.name, index: index, path: url.path) }
    return tensor
  }

  private func values(_ entry: TensorEntry) throws(CheckpointError) -> Tensor {
    if case .bytes(let offset, .float32) = entry.location, offset % 4 == 0, let mapped,
      offset / 4 + entry.count <= mapped.count
    {
      return Tensor(shape: entry.shape, storage: mapped, offset: offset / 4)
    }
    if case .bytes(let offset, let format) = entry.location, let bytes {
      // The entry was checked when the checkpoint was opened; the file may have been replaced since.
      guard offset + entry.count * format.size <= bytes.count else {
        throw .unreadable(path: url.path, reason: "it was cut short while it was read")
      }
      let storage = TensorStorage(count: entry.count) { buffer in
        bytes.withUnsafeBytes { raw in
          for index in buffer.indices { buffer[index] = format.decode(raw, offset + index * format.size) }
        }
      }
      return Tensor(shape: entry.shape, storage: storage)
    }
    guard let file else { throw .unreadable(path: url.path, reason: "it was cut short while it was read") }
    do {
      let dataset = try file.dataset(entry.name)
      try dataset.requireReadable()
      let storage = try TensorStorage(count: entry.count) { buffer throws(HDF5Error) in
        try dataset.read(into: buffer)
      }
      return Tensor(shape: entry.shape, storage: storage)
    } catch {
      throw .unreadable(path: url.path, reason: error.reason(within: url))
    }
  }
}
