import Foundation

/// What oneDNN makes for a key, made when first asked for and kept, also that it has none.
///
/// The lock guards what was made; what is made must be safe to share.
final class MadeOnce<Key: Hashable, Value>: @unchecked Sendable {
  private let lock = NSLock()
  private var made: [Key: Value?] = [:]
  private let make: @Sendable (Key) -> Value?

  init(_ make: @escaping @Sendable (Key) -> Value?) { self.make = make }

  func value(for key: Key) -> Value? {
    lock.withLock {
      if let found = made[key] { return found }
      let value = make(key)
      made[key] = .some(value)
      return value
    }
  }
}
