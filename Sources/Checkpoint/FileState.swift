import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// Which file a path leads to, and since when it is as it is: whether it is still the one that was opened.
struct FileState: Sendable, Hashable {
  let device: UInt64
  let inode: UInt64
  let size: Int64
  /// When its bytes were last written to: seconds and nanoseconds since 1970.
  let written: [Int]

  /// The state of the file, or directory, that a path leads to now; nil where there is none.
  init?(_ url: URL) {
    var status = stat()
    guard stat(url.path, &status) == 0 else { return nil }
    device = UInt64(status.st_dev)
    inode = UInt64(status.st_ino)
    size = Int64(status.st_size)
    written = [Int(status.st_mtim.tv_sec), Int(status.st_mtim.tv_nsec)]
  }

  /// Whether both are one file, whatever was written to it.
  func isSameFile(as other: FileState) -> Bool { device == other.device && inode == other.inode }
}
