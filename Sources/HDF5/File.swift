import CHDF5
import Foundation

/// An open HDF5 file; it closes when the last reference to it goes.
public final class File: Sendable {
  /// Where the file lies.
  public let url: URL
  let handle: Handle

  /// The path as it appears in messages.
  var path: String { url.path }

  private init(url: URL, handle: Handle) {
    self.url = url
    self.handle = handle
  }

  /// Opens an existing file.
  ///
  /// - Throws: ``HDF5Error`` when there is no such file, it is a directory or another thing that is no regular
  ///   file, it cannot be read, it is not HDF5, or it is shorter than its own header says.
  public static func open(_ url: URL, writable: Bool = false) throws(HDF5Error) -> File {
    try requireRegularFile(url, writable: writable)
    return try Library.locked { () throws(HDF5Error) in
      let recognised = H5Fis_hdf5(url.path)
      guard recognised != 0 else {
        throw HDF5Error(action: "open", file: url.path, reason: "it is not an HDF5 file")
      }
      guard recognised > 0 else { throw HDF5Error.fromLibrary("open", file: url.path) }
      let access = try accessProperties(url)
      guard
        let handle = Handle(
          H5Fopen(url.path, writable ? Library.readWrite : Library.readOnly, access.id),
          closing: { H5Fclose($0) })
      else { throw HDF5Error.fromLibrary("open", file: url.path) }
      return File(url: url, handle: handle)
    }
  }

  /// Creates a new, empty file.
  ///
  /// - Parameter replacing: whether a file that is already there may be emptied first.
  /// - Throws: ``HDF5Error`` when the file exists and may not be replaced, or cannot be created.
  public static func create(_ url: URL, replacing: Bool = false) throws(HDF5Error) -> File {
    try Library.locked { () throws(HDF5Error) in
      if !replacing && FileManager.default.fileExists(atPath: url.path) {
        throw HDF5Error(action: "create", file: url.path, reason: "it exists already")
      }
      let access = try accessProperties(url)
      guard
        let handle = Handle(
          H5Fcreate(
            url.path, replacing ? Library.truncate : Library.exclusive, Library.defaultID, access.id),
          closing: { H5Fclose($0) })
      else { throw HDF5Error.fromLibrary("create", file: url.path) }
      return File(url: url, handle: handle)
    }
  }

  /// Writes everything that is still in memory and closes the file and its datasets, which then cannot be used.
  ///
  /// A file that is only read needs no such call. After writing, call it: releasing the last reference closes as
  /// well but cannot report that the disk was full.
  /// - Throws: Where not all could be written.
  public func close() throws(HDF5Error) {
    try Library.locked { () throws(HDF5Error) in
      guard handle.id >= 0 else { return }
      guard H5Fflush(handle.id, H5F_SCOPE_GLOBAL) >= 0 else {
        throw HDF5Error.fromLibrary("write", file: path)
      }
      guard handle.close() else { throw HDF5Error.fromLibrary("close", file: path) }
    }
  }

  private static func requireRegularFile(_ url: URL, writable: Bool) throws(HDF5Error) {
    var status = stat()
    guard stat(url.path, &status) == 0 else {
      let reason = errno == ENOENT ? "there is no such file" : String(cString: strerror(errno))
      throw HDF5Error(action: "open", file: url.path, reason: reason)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      let isDirectory = status.st_mode & S_IFMT == S_IFDIR
      throw HDF5Error(
        action: "open", file: url.path, reason: isDirectory ? "it is a directory" : "it is not a regular file"
      )
    }
    guard access(url.path, writable ? R_OK | W_OK : R_OK) == 0 else {
      throw HDF5Error(action: "open", file: url.path, reason: String(cString: strerror(errno)))
    }
  }

  /// Closing closes the file's objects too, so that ``close()`` does end all writing; and the file is locked where
  /// its file system supports that, while one that does not (a network's) is no obstacle.
  private static func accessProperties(_ url: URL) throws(HDF5Error) -> Handle {
    guard let properties = Handle(H5Pcreate(knedit_h5p_file_access()), closing: { H5Pclose($0) }),
      H5Pset_fclose_degree(properties.id, H5F_CLOSE_STRONG) >= 0,
      H5Pset_file_locking(properties.id, true, true) >= 0
    else { throw HDF5Error.fromLibrary("open", file: url.path) }
    return properties
  }
}
