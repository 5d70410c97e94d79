/// The layouts in which checkpoints come.
public enum CheckpointFormat: Sendable, Hashable, CustomStringConvertible {
  /// Keras HDF5, as TFBertForPreTraining and TFBertForMaskedLM write it, with the root name found in the file.
  case keras(root: String)
  /// HDF5 whose datasets carry PyTorch's names.
  case flatHDF5
  /// safetensors with PyTorch's names.
  case safetensors

  /// A short name.
  public var description: String {
    switch self {
    case .keras(let root): root.isEmpty ? "Keras HDF5" : "Keras HDF5 (root \(root))"
    case .flatHDF5: "HDF5 with PyTorch names"
    case .safetensors: "safetensors"
    }
  }

  /// PyTorch's name, as roles have it, of a dataset in Keras' layout; nil for a name that does not fit it.
  ///
  /// Keras writes `group/[root/]path/name:0`, the path beginning with `bert`, `mlm___cls` or `nsp___cls`.
  static func canonicalName(keras path: String) -> (root: String, name: String)? {
    var parts = path.split(separator: "/").map(String.init)
    guard parts.count > 3, ["bert", "mlm___cls", "nsp___cls"].contains(parts[0]), path.hasSuffix(":0") else {
      return nil
    }
    parts.removeFirst()
    var root = ""
    if !["bert", "mlm___cls", "nsp___cls"].contains(parts[0]) { root = parts.removeFirst() }
    parts[parts.count - 1].removeLast(2)
    var name = parts.joined(separator: ".")
    name = name.replacing("mlm___cls.", with: "cls.").replacing("nsp___cls.", with: "cls.")
    name = name.replacing("layer_._", with: "layer.")
    return (root, canonicalEnding(name))
  }

  /// PyTorch's name, as roles have it, of a name in PyTorch's style, older spellings included.
  static func canonicalName(flat name: String) -> String {
    var name = name.replacing("/", with: ".")
    if name.hasSuffix(":0") { name.removeLast(2) }
    if name.hasPrefix("embeddings.") || name.hasPrefix("encoder.") { name = "bert." + name }
    return canonicalEnding(name)
  }

  private static func canonicalEnding(_ name: String) -> String {
    for (ending, replacement) in [
      (".gamma", ".weight"), (".beta", ".bias"), (".kernel", ".weight"), (".embeddings", ".weight"),
    ] where name.hasSuffix(ending) {
      return name.dropLast(ending.count) + replacement
    }
    return name
  }
}
