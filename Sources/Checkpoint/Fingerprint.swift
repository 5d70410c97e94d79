import Crypto
import Foundation

/// SHA-256 of a file's bytes, in lower-case hexadecimal.
///
/// - Throws: ``CheckpointError/unreadable(path:reason:)``.
/// - Complexity: reads the file once, a megabyte at a time.
public func fingerprint(of url: URL) throws(CheckpointError) -> String {
  do {
    let handle = try FileHandle(forReadingFrom: url)
    defer { try? handle.close() }
    var hash = SHA256()
    while let chunk = try handle.read(upToCount: 1 << 20), !chunk.isEmpty { hash.update(data: chunk) }
    return hexadecimal(hash.finalize())
  } catch {
    throw .unreadable(path: url.path, reason: "it cannot be opened")
  }
}

/// SHA-256 of some bytes, in lower-case hexadecimal.
package func sha256(of data: Data) -> String { hexadecimal(SHA256.hash(data: data)) }

private func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { byte in
    let digits = String(byte, radix: 16)
    return digits.count == 1 ? "0" + digits : digits
  }.joined()
}
