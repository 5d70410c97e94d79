import BERT
import Checkpoint
import Editing
import Foundation

extension EditRecord.Source {
  /// The name of the weights file, wherever the record may say that this lies.
  var fileName: String { URL(filePath: file).lastPathComponent }
}

extension EditRecord {
  /// The relations: as given now, as recorded, or beside the source where they were recorded there.
  func relationsLocation(given: String?, source: URL) throws -> URL {
    if let given { return URL(filePath: given) }
    if FileManager.default.fileExists(atPath: relations) { return URL(filePath: relations) }
    let beside = source.appending(path: "relations")
    guard relations == self.source.model + "/relations", FileManager.default.fileExists(atPath: beside.path)
    else {
      throw InputError("The record's relations, \(relations), are not there; say where they are with --relations.")
    }
    return beside
  }

  /// The source: as given now, as recorded, or the bundled demo when the recorded path is not there and it is the model meant.
  func sourceLocation(given: String?) throws -> URL {
    if let given { return URL(filePath: given) }
    let recorded = URL(filePath: source.model)
    if FileManager.default.fileExists(atPath: recorded.path) {
      let file = recorded.appending(path: source.fileName)
      return FileManager.default.fileExists(atPath: file.path) ? file : recorded
    }
    let demo = (try? DemoCheckpoint.path(insteadOf: "--model")).map {
      URL(filePath: $0).appending(path: source.fileName)
    }
    guard let demo, (try? fingerprint(of: demo)) == source.sha256 else {
      throw InputError("The record's model, \(source.model), is not there; say where it is with --model.")
    }
    return demo
  }
}
