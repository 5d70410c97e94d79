import Foundation
import Tensors

/// How two checkpoints differ, whatever their formats.
public struct CheckpointDifference: Sendable {
  /// A tensor whose values differ.
  public struct TensorDifference: Sendable {
    /// PyTorch's name.
    public let name: String
    /// Number of values that differ.
    public let count: Int
    /// The largest absolute difference; nil where the shapes differ.
    public let largest: Float?
  }

  /// A value slot that differs.
  public struct SlotDifference: Sendable {
    /// Layer, from 0.
    public let layer: Int
    /// Intermediate unit, from 0.
    public let index: Int
    /// The slot in the first checkpoint, `[hidden]`.
    public let before: [Float]
    /// The slot in the second checkpoint, `[hidden]`.
    public let after: [Float]

    /// Δ = after − before, `[hidden]`.
    public var change: [Float] { zip(after, before).map { $0 - $1 } }
    /// ‖Δ‖.
    public var norm: Double { change.norm }
    /// ‖before‖.
    public var normBefore: Double { before.norm }
    /// Cosine of the slot before and after; nil when one of them is zero.
    public var cosine: Double? {
      let product = zip(before, after).reduce(0) { $0 + Double($1.0) * Double($1.1) }
      let norms = before.norm * after.norm
      return norms > 0 ? product / norms : nil
    }
  }

  /// Sizes that config.json gives differently; where there are any, no tensors are compared.
  public let configurations: [String]
  /// The tensors that differ, by name.
  public let tensors: [TensorDifference]
  /// The value slots that differ, by layer and index.
  public let slots: [SlotDifference]
  /// Tensors that only the first file holds; they take no part in the model.
  public let onlyInFirst: [String]
  /// Tensors that only the second file holds.
  public let onlyInSecond: [String]

  /// Whether the two are the same model: sizes and all tensors that both hold.
  public var isEqual: Bool { configurations.isEmpty && tensors.isEmpty }

  /// Compares two checkpoints tensor by tensor, as float32.
  ///
  /// Pooler and next-sentence head are compared where both files hold them.
  /// - Throws: For a tensor that cannot be read.
  public static func between(_ a: Checkpoint, _ b: Checkpoint) throws(CheckpointError) -> CheckpointDifference {
    let (extraA, extraB) = (a.extras, b.extras)
    let names = Set(extraA.keys).intersection(extraB.keys)
    let onlyInFirst = Set(extraA.keys).subtracting(names).sorted()
    let onlyInSecond = Set(extraB.keys).subtracting(names).sorted()
    let configurations = differences(a.configuration, b.configuration)
    guard configurations.isEmpty else {
      return CheckpointDifference(
        configurations: configurations, tensors: [], slots: [], onlyInFirst: onlyInFirst,
        onlyInSecond: onlyInSecond)
    }
    let (readerA, readerB) = (try WeightReader(a), try WeightReader(b))
    var tensors: [TensorDifference] = []
    var slots: [SlotDifference] = []
    for role in TensorRole.all(a.configuration) {
      let first = try readerA.tensor(a.entry(role.description))
      let second = try readerB.tensor(b.entry(role.description))
      let transposed = role.isProjection && a.orientation != b.orientation
      guard let difference = compare(role.description, first, second, transposed: transposed) else {
        continue
      }
      tensors.append(difference)
      guard let layer = layer(ofOutput: role.description) else { continue }
      for index in 0..<a.configuration.intermediateSize {
        let before = a.orientation == .inputByOutput ? first.row(index) : first.column(index)
        let after = b.orientation == .inputByOutput ? second.row(index) : second.column(index)
        if before != after {
          slots.append(SlotDifference(layer: layer, index: index, before: before, after: after))
        }
      }
    }
    for name in names.sorted() {
      guard let (one, two) = (extraA[name].flatMap { one in extraB[name].map { (one, $0) } }) else {
        continue
      }
      let reversed =
        one.shape == two.shape.reversed() && a.orientation != b.orientation && one.shape.count == 2
      guard one.shape == two.shape || reversed else {
        // Nothing can be set against anything: all values count as different.
        tensors.append(TensorDifference(name: name, count: max(one.count, two.count), largest: nil))
        continue
      }
      let (first, second) = (try readerA.tensor(one), try readerB.tensor(two))
      if let difference = compare(name, first, second, transposed: reversed) { tensors.append(difference) }
    }
    return CheckpointDifference(
      configurations: [], tensors: tensors, slots: slots, onlyInFirst: onlyInFirst, onlyInSecond: onlyInSecond
    )
  }

  private static func compare(
    _ name: String, _ a: Tensor, _ b: Tensor, transposed: Bool
  ) -> TensorDifference? {
    var count = 0
    var largest: Float = 0
    a.withUnsafeBufferPointer { first in
      b.withUnsafeBufferPointer { second in
        for index in first.indices {
          let other = transposed ? second[index % a.columns * a.rows + index / a.columns] : second[index]
          if first[index] != other {
            count += 1
            largest = max(largest, abs(first[index] - other))
          }
        }
      }
    }
    return count == 0 ? nil : TensorDifference(name: name, count: count, largest: largest)
  }

  private static func layer(ofOutput name: String) -> Int? {
    let parts = name.split(separator: ".")
    guard parts.count == 7, name.hasSuffix(".output.dense.weight"), parts[4] == "output" else { return nil }
    return Int(parts[3])
  }

  private static func differences(_ a: BERTConfiguration, _ b: BERTConfiguration) -> [String] {
    let sizes: [(String, Int, Int)] = [
      ("hidden_size", a.hiddenSize, b.hiddenSize), ("num_hidden_layers", a.layerCount, b.layerCount),
      ("num_attention_heads", a.headCount, b.headCount),
      ("intermediate_size", a.intermediateSize, b.intermediateSize),
      ("vocab_size", a.vocabularySize, b.vocabularySize),
      ("max_position_embeddings", a.maximumPositions, b.maximumPositions),
      ("type_vocab_size", a.typeVocabularySize, b.typeVocabularySize),
    ]
    var result = sizes.filter { $0.1 != $0.2 }.map { "\($0.0): \($0.1) and \($0.2)" }
    if a.layerNormEpsilon != b.layerNormEpsilon {
      result.append("layer_norm_eps: \(a.layerNormEpsilon) and \(b.layerNormEpsilon)")
    }
    return result
  }
}

extension Checkpoint {
  /// Floating-point tensors that the model does not read, by PyTorch's name, copies of used ones left out.
  fileprivate var extras: [String: TensorEntry] {
    let used = Set(TensorRole.all(configuration).map(\.description))
    // A decoder's own weight and bias repeat the embeddings and the bias of the head.
    let copies: Set = ["cls.predictions.decoder.weight", "cls.predictions.decoder.bias"]
    let others = entries.filter {
      !$0.isUsed && !used.contains($0.canonicalName) && !copies.contains($0.canonicalName)
        && $0.isFloatingPoint
    }
    return Dictionary(others.map { ($0.canonicalName, $0) }, uniquingKeysWith: { first, _ in first })
  }
}
