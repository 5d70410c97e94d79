import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// Files that are being written beside their places, so that what bears a result's name is always whole.
///
/// Who ends a process before its time calls ``discardAll()`` first, so that none of them stays behind.
public enum PartialFiles {
  private final class Register: @unchecked Sendable {
    let lock = NSLock()
    var paths: Set<String> = []
    /// Directories made for files that are not finished, outermost first.
    var directories: [String] = []
  }

  // The lock guards the paths, and is held while files go to their places: all of them, or none.
  private static let register = Register()

  /// A new place beside `target` to write to; the file is yet to be made.
  public static func begin(beside target: URL) -> URL {
    let url = target.deletingLastPathComponent().appending(
      path: ".\(target.lastPathComponent).\(UUID().uuidString).partial")
    register.lock.withLock { _ = register.paths.insert(url.path) }
    return url
  }

  /// Whether a file's name is one of those that ``begin(beside:)`` gives.
  static func isName(_ name: String) -> Bool { name.hasPrefix(".") && name.hasSuffix(".partial") }

  /// Makes a directory for files to come, and those above it that are not there; returns those made, outermost first.
  ///
  /// - Throws: Foundation's error; none of them is left then.
  static func makeDirectory(_ url: URL) throws -> [String] {
    var missing: [URL] = []
    var ancestor = url.standardizedFileURL
    while !FileManager.default.fileExists(atPath: ancestor.path) {
      missing.insert(ancestor, at: 0)
      ancestor.deleteLastPathComponent()
    }
    var made: [String] = []
    do {
      for directory in missing {
        try register.lock.withLock {
          try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
          register.directories.append(directory.path)
          made.append(directory.path)
        }
      }
    } catch {
      discardDirectories(made)
      throw error
    }
    return made
  }

  /// Removes directories that were made for files that will not be finished, where nothing else was put there.
  static func discardDirectories(_ made: [String]) {
    register.lock.withLock {
      for path in register.directories.filter(made.contains).reversed() { rmdir(path) }
      register.directories.removeAll(where: made.contains)
    }
  }

  /// Puts files at their places, one after the other, where they replace what is there.
  ///
  /// - Parameters:
  ///   - directories: Those made for them.
  ///   - stale: Files that go once they are there.
  /// - Throws: ``CheckpointError/cannotWrite(path:reason:)``; the files from that one on stay where they were.
  public static func finish(
    _ files: [(partial: URL, target: URL)], in directories: [String] = [], removing stale: [URL] = []
  ) throws(CheckpointError) {
    let failure: CheckpointError? = register.lock.withLock {
      for (partial, target) in files {
        guard rename(partial.path, target.path) == 0 else {
          return .cannotWrite(path: target.path, reason: String(cString: strerror(errno)))
        }
        register.paths.remove(partial.path)
        register.directories.removeAll(where: directories.contains)
      }
      for file in stale { unlink(file.path) }
      // A place in a directory outlives a power cut only once the directory is on disk, too.
      let places = files.map { $0.target.deletingLastPathComponent().path } + directories.map { $0 + "/.." }
      for place in Set(places) { synchronizeDirectory(place) }
      return nil
    }
    if let failure { throw failure }
  }

  /// Waits until a file's content is on disk, so that no place is ever given to one that is not.
  ///
  /// - Throws: What Foundation says of a file that cannot be opened or written.
  public static func synchronize(_ partial: URL) throws {
    let handle = try FileHandle(forUpdating: partial)
    try handle.synchronize()
    try handle.close()
  }

  /// Not every file system takes it, which is no reason to fail.
  private static func synchronizeDirectory(_ path: String) {
    let descriptor = open(path, O_RDONLY | O_DIRECTORY)
    guard descriptor >= 0 else { return }
    fsync(descriptor)
    close(descriptor)
  }

  /// Removes a file that will not be finished; one that is finished stays.
  public static func discard(_ partial: URL) {
    register.lock.withLock { if register.paths.remove(partial.path) != nil { unlink(partial.path) } }
  }

  /// Removes all files that are not finished, and the directories that were made for them.
  ///
  /// No file is begun or finished any more: who would, waits until the process has ended.
  public static func discardAll() {
    register.lock.lock()
    for path in register.paths { unlink(path) }
    for path in register.directories.reversed() { rmdir(path) }
  }
}
