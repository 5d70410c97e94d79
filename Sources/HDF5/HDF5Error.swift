import CHDF5
import Foundation

/// What could not be done with which file and object, and why: one sentence.
public struct HDF5Error: Error, Hashable, Sendable, CustomStringConvertible, LocalizedError {
  /// What was attempted, such as "open" or "read dataset".
  public let action: String
  /// The file's path.
  public let file: String
  /// The path of the object inside the file, when the failure concerns one.
  public let object: String?
  /// Why it failed: this module's own finding, or the innermost message of libhdf5's error stack.
  public let reason: String

  /// Describes a failure.
  public init(action: String, file: String, object: String? = nil, reason: String) {
    self.action = action
    self.file = file
    self.object = object
    self.reason = reason
  }

  /// The whole failure in one sentence.
  public var description: String {
    let subject = object.map { "\($0) of \(file)" } ?? file
    return "Cannot \(action) \(subject): \(reason)."
  }

  /// The same sentence as ``description``.
  public var errorDescription: String? { description }

  /// A failure whose reason is the error stack that the last library call left.
  ///
  /// Call it inside `Library.locked`, straight after the failed call.
  static func fromLibrary(_ action: String, file: String, object: String? = nil) -> HDF5Error {
    HDF5Error(action: action, file: file, object: object, reason: libraryReason())
  }

  /// The most specific message of the error stack, with its cause class where that says more.
  private static func libraryReason() -> String {
    var messages: [String] = []
    let status = withUnsafeMutablePointer(to: &messages) { list in
      H5Ewalk2(
        Library.defaultID, H5E_WALK_UPWARD,
        { _, record, list in
          if let text = record?.pointee.desc, let list {
            list.assumingMemoryBound(to: [String].self).pointee.append(String(cString: text))
          }
          return 0
        }, list)
    }
    let cleaned = messages.map { $0.replacingOccurrences(of: "\n", with: " ") }
      .map { $0.trimmingCharacters(in: .whitespaces) }
      .filter { !$0.isEmpty }
    // Where the system refused, its word says all: the library's has addresses and sizes in it.
    if let word = cleaned.lazy.compactMap({ $0.firstMatch(of: /error message = '([^']+)'/)?.1 }).first {
      return word.prefix(1).lowercased() + word.dropFirst()
    }
    guard status >= 0, let first = cleaned.first else { return "the HDF5 library gave no reason" }
    guard let last = cleaned.last, last != first else { return first }
    return "\(first) (\(last))"
  }
}
