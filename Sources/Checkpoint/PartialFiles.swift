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

  /// Puts files at their places, one after the other, where they replace what is there.
  ///
  /// - Throws: ``CheckpointError/cannotWrite(path:reason:)``; the files from that one on stay where they were.
  public static func finish(_ files: [(partial: URL, target: URL)]) throws(CheckpointError) {
    let failure: CheckpointError? = register.lock.withLock {
      for (partial, target) in files {
        guard rename(partial.path, target.path) == 0 else {
          return .cannotWrite(path: target.path, reason: String(cString: strerror(errno)))
        }
        register.paths.remove(partial.path)
      }
      return nil
    }
    if let failure { throw failure }
  }

  /// Removes a file that will not be finished; one that is finished stays.
  public static func discard(_ partial: URL) {
    register.lock.withLock { if register.paths.remove(partial.path) != nil { unlink(partial.path) } }
  }

  /// Removes all files that are not finished.
  public static func discardAll() {
    register.lock.withLock {
      for path in register.paths { unlink(path) }
      register.paths = []
    }
  }
}
