import Foundation
import HDF5

/// Lists the tensors of an HDF5 checkpoint and tells Keras' layout from PyTorch's names.
enum HDF5Layout {
  static func read(_ url: URL) throws(CheckpointError) -> (CheckpointFormat, [TensorEntry]) {
    do {
      let file = try File.open(url)
      let paths = try file.objects().filter { $0.kind == .dataset }.map(\.path)
      // A link is followed: downloaded models are often directories of links.
      let target = url.resolvingSymlinksInPath()
      let size = (try? FileManager.default.attributesOfItem(atPath: target.path)[.size] as? Int) ?? 0
      let root = paths.lazy.compactMap { CheckpointFormat.canonicalName(keras: $0) }.first?.root
      var entries: [TensorEntry] = []
      for path in paths {
        let name: String
        if let root {
          // What lies elsewhere is no part of the model, but of the file: it goes by its own name.
          let found = CheckpointFormat.canonicalName(keras: path)
          name = found.flatMap { $0.root == root ? $0.name : nil } ?? path
        } else {
          name = CheckpointFormat.canonicalName(flat: path)
        }
        entries.append(try entry(of: file.dataset(path), in: url, name: name, fileSize: size))
      }
      return (root.map { .keras(root: $0) } ?? .flatHDF5, entries)
    } catch let error as HDF5Error {
      throw .unreadable(path: url.path, reason: error.reason(within: url))
    } catch let error as CheckpointError {
      throw error
    } catch {
      throw .unreadable(path: url.path, reason: "\(error)")
    }
  }

  private static func entry(
    of dataset: Dataset, in url: URL, name: String, fileSize: Int
  ) throws(CheckpointError) -> TensorEntry {
    var location = TensorEntry.Location.dataset
    if let offset = dataset.fileOffset {
      let end = offset.addingReportingOverflow(dataset.byteCount)
      guard !end.overflow, end.partialValue <= fileSize else {
        throw .unreadable(
          path: url.path, reason: "the data of \(dataset.path) end beyond the file, which has been cut short")
      }
      // Other types are the library's to convert: one of four bytes need not be IEEE 754's.
      if dataset.elementType.isLittleEndianFloat32 { location = .bytes(offset: offset, format: .float32) }
    }
    let storage = ([dataset.layout.description] + dataset.filters).joined(separator: ", ")
    return TensorEntry(
      name: dataset.path, canonicalName: name, shape: dataset.shape, element: dataset.elementType.description,
      storage: storage, isUsed: false, isExact: dataset.isExact, location: location)
  }
}

extension HDF5Error {
  /// The reason, with the object it concerns, for a sentence that names the file already.
  func reason(within url: URL) -> String { object.map { "\($0): \(reason)" } ?? reason }
}
