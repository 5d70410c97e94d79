import CHDF5
import Foundation

/// The one door to libhdf5.
///
/// Linux distributions ship the library's serial build, which keeps global state and must never be entered by two
/// threads at once. Every call goes through ``locked(_:)``. The lock is recursive because a handle may be
/// released, and so closed, while another call is under way.
enum Library {
  private static let lock = NSRecursiveLock()

  /// Begun once.
  ///
  /// On its way out of the process the library would flush again what could not be written, to a full disk for one, and
  /// crash; everything written is closed before.
  private static let isBegun: Bool = {
    H5dont_atexit()
    return H5open() >= 0
  }()

  /// Runs `body` alone, with the library's habit of printing its errors to standard error turned off.
  static func locked<Result, Failure: Error>(_ body: () throws(Failure) -> Result) throws(Failure) -> Result {
    lock.lock()
    defer { lock.unlock() }
    _ = isBegun
    H5Eset_auto2(Library.defaultID, nil, nil)
    return try body()
  }

  // The header defines these as casts or comma expressions, which Swift does not import.
  static let defaultID: hid_t = 0
  static let readOnly: UInt32 = 0
  static let readWrite: UInt32 = 1
  static let truncate: UInt32 = 2
  static let exclusive: UInt32 = 4
  static let undefinedAddress = UInt64.max
  static let variableSize = -1
}

/// An identifier of libhdf5 that closes itself.
final class Handle: @unchecked Sendable {
  // Written only under the library's lock; that is what makes the class sendable.
  private(set) var id: hid_t
  private let closer: (hid_t) -> herr_t

  /// Takes over `id`, or returns nil when the call that made it failed.
  init?(_ id: hid_t, closing closer: @escaping @Sendable (hid_t) -> herr_t) {
    guard id >= 0 else { return nil }
    self.id = id
    self.closer = closer
  }

  /// Closes now and tells whether that worked; closing twice is harmless.
  func close() -> Bool {
    Library.locked {
      guard id >= 0 else { return true }
      let status = closer(id)
      id = -1
      return status >= 0
    }
  }

  deinit {
    // Every call empties the library's error stack, and a handle may go between a failed call and the look at
    // why it failed: the stack is put aside meanwhile.
    Library.locked {
      let stack = H5Eget_num(Library.defaultID) > 0 ? H5Eget_current_stack() : -1
      _ = close()
      if stack >= 0 { H5Eset_current_stack(stack) }
    }
  }
}
