import Foundation

/// Why a checkpoint cannot be read, written or compared; each says what was expected, what was found and where.
public enum CheckpointError: Error, Sendable, Hashable, CustomStringConvertible, LocalizedError {
  /// A file or directory that is needed is not there.
  case missingFile(path: String, advice: String)
  /// config.json cannot be used.
  case badConfiguration(path: String, reason: String)
  /// The weights file cannot be read as what it claims to be.
  case unreadable(path: String, reason: String)
  /// A tensor that the model needs is not in the file.
  case missingTensor(name: String, path: String)
  /// The file holds a BERT without a masked-language-model head.
  case missingHead(path: String)
  /// A tensor's shape is not the one config.json asks for.
  case wrongShape(name: String, expected: [Int], found: [Int], path: String)
  /// A weight is not a finite number.
  case notFinite(name: String, index: Int, path: String)
  /// The tensors contradict each other.
  case inconsistent(path: String, reason: String)
  /// A replacement for a value slot cannot be stored.
  case badSlot(layer: Int, index: Int, reason: String)
  /// The weights file is no longer what it was when it was opened.
  case changed(path: String)
  /// The output exists already.
  case outputExists(path: String)
  /// What would be changed is stored so that it does not come back as it was written.
  case inexact(path: String, tensor: String, storage: String)
  /// The output would be the source.
  case outputIsSource(path: String)
  /// Results would replace a file that may be part of a model.
  case wouldReplace(path: String)
  /// Writing failed; what had been written is removed.
  case cannotWrite(path: String, reason: String)

  /// One sentence for people.
  public var description: String {
    switch self {
    case .missingFile(let path, let advice): "There is no \(path); \(advice)."
    case .badConfiguration(let path, let reason): "\(path) cannot be used: \(reason)."
    case .unreadable(let path, let reason):
      reason.contains(path) ? reason : "\(path) cannot be read: \(reason)."
    case .missingTensor(let name, let path):
      "\(path) has no tensor \(name), which a BERT with a masked-language-model head needs; is it another model?"
    case .missingHead(let path):
      "\(path) has no masked-language-model head (cls.predictions, or mlm___cls in Keras' layout); "
        + "save the checkpoint as a BertForMaskedLM or BertForPreTraining."
    case .wrongShape(let name, let expected, let found, let path):
      "Tensor \(name) in \(path) has shape \(found), but config.json asks for \(expected)."
    case .notFinite(let name, let index, let path):
      "Tensor \(name) in \(path) holds a NaN or infinity at value \(index); the checkpoint is damaged."
    case .inconsistent(let path, let reason): "\(path) contradicts itself: \(reason)."
    case .badSlot(let layer, let index, let reason):
      "Value slot \(index) of layer \(layer) (from 0) cannot be written: \(reason)."
    case .changed(let path):
      "\(path) was written to or replaced while this command worked with it; run the command again."
    case .outputExists(let path):
      "\(path) exists already and is not empty."
    case .outputIsSource(let path):
      "\(path) is where the source checkpoint lies, which is never overwritten; choose another directory."
    case .inexact(let path, let tensor, let storage):
      "\(path) stores \(tensor) rounded (\(storage)), so that a change of some values would move others; write it without that "
        + "filter first."
    case .wouldReplace(let path):
      "\(path) lies in a model's directory and may be part of the model; choose another place for the results."
    case .cannotWrite(let path, let reason): "Cannot write \(path): \(reason)."
    }
  }

  /// The same, for Foundation.
  public var errorDescription: String? { description }
}
