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
  /// - Parameter directories: Those made for them.
  /// - Throws: ``CheckpointError/cannotWrite(path:reason:)``; the files from that one on stay where they were.
  public static func finish(
    _ files: [(partial: URL, target: URL)], in directories: [String] = []
  ) throws(CheckpointError) {
    let failure: CheckpointError? = register.lock.withLock {
      for (partial, target) in files {
        guard rename(partial.path, target.path) == 0 else {
          return .cannotWrite(path: target.path, reason: String(cString: strerror(errno)))
        }
        register.paths.remove(partial.path)
        register.directories.removeAll(where: directories.contains)
      }
      return nil
    }
    if let failure { throw failure }
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
