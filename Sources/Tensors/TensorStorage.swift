import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// The memory behind one or more tensors: an allocation, or a part of a file mapped read-only.
///
/// Many processes that map one checkpoint share its pages. The memory lives as long as a tensor refers to it and
/// is never written after its initialiser has returned, which is what makes sharing it between threads sound.
public final class TensorStorage: @unchecked Sendable {
  /// Number of float32 values.
  public let count: Int
  /// Whether the values lie in a mapped file (and cost no private memory).
  public let isMapped: Bool
  let base: UnsafePointer<Float>
  private let release: @Sendable () -> Void

  /// Allocates `count` values, 64-byte aligned, and lets `fill` write every one of them.
  ///
  /// The buffer given to `fill` holds exactly `count` values, set to zero, and is valid during the call only.
  public init<Failure: Error>(
    count: Int, fill: (UnsafeMutableBufferPointer<Float>) throws(Failure) -> Void
  ) throws(Failure) {
    let raw = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1) * MemoryLayout<Float>.stride, alignment: 64)
    let values = raw.initializeMemory(as: Float.self, repeating: 0, count: max(count, 1))
    do throws(Failure) {
      try fill(UnsafeMutableBufferPointer(start: values, count: count))
    } catch {
      raw.deallocate()
      throw error
    }
    self.count = count
    isMapped = false
    base = UnsafePointer(values)
    let address = UInt(bitPattern: raw)
    release = { UnsafeMutableRawPointer(bitPattern: address)?.deallocate() }
  }

  /// Maps a whole file of little-endian float32 data; tensors then refer to parts of it.
  ///
  /// - Returns: nil when the file cannot be opened, is shorter than one value or cannot be mapped.
  public init?(mapping url: URL) {
    let descriptor = open(url.path, O_RDONLY)
    guard descriptor >= 0 else { return nil }
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0, status.st_size >= 4 else { return nil }
    let bytes = Int(status.st_size)
    guard let address = mmap(nil, bytes, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
      return nil
    }
    count = bytes / MemoryLayout<Float>.stride
    isMapped = true
    base = UnsafeRawPointer(address).assumingMemoryBound(to: Float.self)
    let mapped = UInt(bitPattern: address)
    release = { munmap(UnsafeMutableRawPointer(bitPattern: mapped), bytes) }
  }

  deinit { release() }
}
