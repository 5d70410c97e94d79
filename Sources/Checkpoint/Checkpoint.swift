import Foundation
import HDF5
import Tensors

/// A BERT checkpoint on disk: configuration, vocabulary and weights file, opened but not yet read.
public struct Checkpoint: Sendable {
  /// The model directory.
  public let directory: URL
  /// The file that holds the weights.
  public let weightsFile: URL
  /// The vocabulary, one word piece a line.
  public let vocabularyFile: URL
  /// Other weights files in the directory, which are not read.
  public let otherWeights: [URL]
  /// What config.json says.
  public let configuration: BERTConfiguration
  /// The layout of the weights file.
  public let format: CheckpointFormat
  /// Every tensor in the weights file, by name in the file.
  public let entries: [TensorEntry]
  /// Which way round the file stores projections.
  public let orientation: BERTWeights.Orientation
  /// The weights file as it was when it was opened.
  private let opened: FileState?

  /// Opens a model directory, or a weights file with config.json and vocab.txt beside it.
  ///
  /// Reads names and shapes, checks them against config.json and reads no weights. In a directory, tf_model.h5 is
  /// taken before model.safetensors, and another name when there is just one.
  /// - Throws: ``CheckpointError``.
  public static func open(_ url: URL) throws(CheckpointError) -> Checkpoint {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) else {
      throw .missingFile(
        path: url.path, advice: "give a model directory, or its tf_model.h5 or model.safetensors")
    }
    let directory = isDirectory.boolValue ? url : url.deletingLastPathComponent()
    let candidates = weightsFiles(in: directory)
    let weightsFile: URL
    if !isDirectory.boolValue {
      weightsFile = url
    } else if let first = candidates.first {
      weightsFile = first
    } else {
      throw .missingFile(
        path: directory.appending(path: "tf_model.h5").path,
        advice: unreadWeights(in: directory).map {
          "knedit reads no \($0): load it with Transformers and save it as one model.safetensors, with save_pretrained and "
            + "safe_serialization"
        }
          ?? "a model directory needs tf_model.h5 or model.safetensors, or just one *.h5 or *.safetensors file; where there are "
          + "several, name one of them")
    }
    let configuration = try BERTConfiguration(contentsOf: directory.appending(path: "config.json"))
    let vocabulary = directory.appending(path: "vocab.txt")
    guard FileManager.default.fileExists(atPath: vocabulary.path) else {
      throw .missingFile(path: vocabulary.path, advice: "a model directory needs its vocab.txt")
    }
    return try Checkpoint(
      directory: directory, weightsFile: weightsFile, vocabularyFile: vocabulary,
      otherWeights: candidates.filter { $0.lastPathComponent != weightsFile.lastPathComponent },
      configuration: configuration)
  }

  /// Weights of a kind that is not read, if there are any.
  private static func unreadWeights(in directory: URL) -> String? {
    ["pytorch_model.bin", "pytorch_model.bin.index.json", "model.safetensors.index.json", "flax_model.msgpack"].first {
      FileManager.default.fileExists(atPath: directory.appending(path: $0).path)
    }
  }

  private init(
    directory: URL, weightsFile: URL, vocabularyFile: URL, otherWeights: [URL],
    configuration: BERTConfiguration
  ) throws(CheckpointError) {
    opened = FileState(weightsFile)
    let format: CheckpointFormat
    var entries: [TensorEntry]
    if weightsFile.pathExtension == "safetensors" {
      (format, entries) = (.safetensors, try SafetensorsLayout.read(weightsFile))
    } else {
      (format, entries) = try HDF5Layout.read(weightsFile)
    }
    try Self.requireSameDepth(entries, configuration, path: weightsFile.path)
    let places = try Self.places(of: entries, in: format, path: weightsFile.path)
    let orientation = try Self.take(&entries, at: places, configuration, format, path: weightsFile.path)
    self.directory = directory
    self.weightsFile = weightsFile
    self.vocabularyFile = vocabularyFile
    self.otherWeights = otherWeights
    self.configuration = configuration
    self.format = format
    self.entries = entries
    // Where every matrix is square the name decides: `kernel` is Keras' word, `weight` is PyTorch's.
    self.orientation =
      orientation
      ?? (entries.contains { $0.name.hasSuffix("kernel") || $0.name.hasSuffix("kernel:0") }
        ? .inputByOutput : .outputByInput)
  }

  /// Where the tensor of each canonical name is among the entries.
  ///
  /// Keras stores shared weights once for each part that uses them; the first is read, and its copy is taken to hold the same
  /// values, since comparing them would double the time to open.
  private static func places(
    of entries: [TensorEntry], in format: CheckpointFormat, path: String
  ) throws(CheckpointError) -> [String: Int] {
    var places: [String: Int] = [:]
    for (index, entry) in entries.enumerated() {
      guard let first = places[entry.canonicalName] else {
        places[entry.canonicalName] = index
        continue
      }
      guard !format.isFlat, entry.shape == entries[first].shape else {
        throw .inconsistent(
          path: path, reason: "\(entries[first].name) and \(entry.name) are two tensors for one place")
      }
    }
    guard entries.contains(where: { $0.canonicalName.hasPrefix("bert.") }) else {
      throw .unreadable(path: path, reason: "it holds no tensors of a BERT model")
    }
    guard entries.contains(where: { $0.canonicalName.hasPrefix("cls.predictions.") }) else {
      throw .missingHead(path: path)
    }
    // A decoder bias may go by either of two names.
    if places["cls.predictions.bias"] == nil {
      places["cls.predictions.bias"] = places["cls.predictions.decoder.bias"]
    }
    return places
  }

  /// Marks the tensors that the model is made of, and tells which way round projections are stored; nil where all are square.
  private static func take(
    _ entries: inout [TensorEntry], at places: [String: Int], _ configuration: BERTConfiguration,
    _ format: CheckpointFormat, path: String
  ) throws(CheckpointError) -> BERTWeights.Orientation? {
    var orientation: BERTWeights.Orientation?
    if case .keras = format { orientation = .inputByOutput }
    for role in TensorRole.all(configuration) {
      guard let index = places[role.description] else {
        throw .missingTensor(name: name(of: role, in: format), path: path)
      }
      let (name, shape) = (entries[index].name, entries[index].shape)
      guard entries[index].isFloatingPoint else {
        throw .unreadable(
          path: path, reason: "tensor \(name) is stored as \(entries[index].element), not as F32 or the like")
      }
      let reversed = Array(role.shape.reversed())
      if role.isProjection, role.shape != reversed, format.isFlat {
        let found: BERTWeights.Orientation? =
          shape == role.shape ? .outputByInput : shape == reversed ? .inputByOutput : nil
        if let found, let orientation, found != orientation {
          throw .inconsistent(
            path: path, reason: "\(name) is stored the other way round than the projections before it")
        }
        orientation = orientation ?? found
      }
      let expected = role.isProjection && orientation == .inputByOutput ? reversed : role.shape
      guard shape == expected else {
        throw .wrongShape(name: name, expected: expected, found: shape, path: path)
      }
      entries[index].isUsed = true
    }
    return orientation
  }

  /// Refuses a file that has more encoder layers than config.json says: leaving some out would be another model.
  private static func requireSameDepth(
    _ entries: [TensorEntry], _ configuration: BERTConfiguration, path: String
  ) throws(CheckpointError) {
    for entry in entries where entry.canonicalName.hasPrefix("bert.encoder.layer.") {
      let parts = entry.canonicalName.split(separator: ".")
      guard parts.count > 3, let layer = Int(parts[3]), layer >= configuration.layerCount else { continue }
      let file = URL(filePath: path)
      throw .badConfiguration(
        path: file.deletingLastPathComponent().appending(path: "config.json").path,
        reason: "num_hidden_layers is \(configuration.layerCount), but \(file.lastPathComponent) holds \(entry.name)")
    }
  }

  private static func weightsFiles(in directory: URL) -> [URL] {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
    let preferred = ["tf_model.h5", "model.safetensors"].filter(names.contains)
    let others = names.filter {
      !preferred.contains($0) && !$0.hasPrefix(".") && ($0.hasSuffix(".h5") || $0.hasSuffix(".safetensors"))
    }.sorted()
    let chosen = preferred.isEmpty && others.count > 1 ? [] : preferred + others
    return chosen.map { directory.appending(path: $0) }
  }

  /// The name that a role would have in a file of this format.
  private static func name(of role: TensorRole, in format: CheckpointFormat) -> String {
    guard case .keras(let root) = format else { return role.description }
    var parts = role.description.split(separator: ".").map(String.init)
    let last = parts.removeLast()
    if parts[0] == "cls" { parts[0] = "mlm___cls" }
    if let place = parts.firstIndex(of: "layer") {
      parts.replaceSubrange(place...place + 1, with: ["layer_._\(parts[place + 1])"])
    }
    let ending =
      switch (parts.last, last) {
      case ("LayerNorm", "weight"): "gamma"
      case ("LayerNorm", _): "beta"
      case ("position_embeddings", _), ("token_type_embeddings", _): "embeddings"
      default: role.isProjection ? "kernel" : last
      }
    return ([parts[0]] + (root.isEmpty ? [] : [root]) + parts + [ending + ":0"]).joined(separator: "/")
  }

  /// Refuses a weights file that is no longer the one that was opened: what was computed from that is not about this one.
  ///
  /// - Throws: ``CheckpointError/changed(path:)``.
  public func requireUnchanged() throws(CheckpointError) {
    guard FileState(weightsFile) == opened else { throw .changed(path: weightsFile.path) }
  }

  func entry(_ role: String) throws(CheckpointError) -> TensorEntry {
    let isBias = role == "cls.predictions.bias"
    guard
      let entry = entries.first(where: {
        $0.canonicalName == role || (isBias && $0.canonicalName == "cls.predictions.decoder.bias")
      })
    else { throw .missingTensor(name: role, path: weightsFile.path) }
    return entry
  }
}

extension CheckpointFormat {
  /// Whether projections may be stored either way round.
  fileprivate var isFlat: Bool {
    if case .keras = self { false } else { true }
  }
}
