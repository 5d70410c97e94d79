import Foundation
import HDF5

/// One tensor of a checkpoint file, as the file describes it.
public struct TensorEntry: Sendable {
  /// Its name in the file.
  public let name: String
  /// PyTorch's name for it, by which checkpoints of different layouts are compared.
  public let canonicalName: String
  /// Its shape as stored.
  public let shape: [Int]
  /// The stored number format: `F32`, `F16`, `BF16`, `F64`.
  public let element: String
  /// How it lies in the file: contiguous, chunked, compressed.
  public let storage: String
  /// Whether the model reads it; copies, pooler and next-sentence head are not read.
  public internal(set) var isUsed: Bool
  /// Whether values come back from the file as they were written.
  let isExact: Bool
  let location: Location

  enum Location: Sendable {
    /// Little-endian numbers in one piece, from that byte of the file on.
    case bytes(offset: Int, format: ByteFormat)
    /// Whatever the HDF5 library has to convert or decompress.
    case dataset
  }

  /// Number of values.
  public var count: Int { shape.reduce(1, *) }

  /// The number format without its byte order; nil for what cannot hold weights.
  var format: ByteFormat? { ByteFormat(rawValue: String(element.prefix { $0 != " " })) }
  /// Whether the values are numbers that weights may be stored as.
  var isFloatingPoint: Bool { format != nil }
}

/// Little-endian number formats that tensors come in.
enum ByteFormat: String, Sendable {
  case float16 = "F16"
  case bfloat16 = "BF16"
  case float32 = "F32"
  case float64 = "F64"

  var size: Int {
    switch self {
    case .float16, .bfloat16: 2
    case .float32: 4
    case .float64: 8
    }
  }

  /// The float32 value of the `size` bytes at `offset` of `data`.
  func decode(_ data: UnsafeRawBufferPointer, _ offset: Int) -> Float {
    switch self {
    case .float16:
      Float(
        Float16(bitPattern: UInt16(littleEndian: data.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
      )
    case .bfloat16:
      Float(
        bitPattern: UInt32(UInt16(littleEndian: data.loadUnaligned(fromByteOffset: offset, as: UInt16.self)))
          << 16)
    case .float32:
      Float(bitPattern: UInt32(littleEndian: data.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
    case .float64:
      Float(
        Double(bitPattern: UInt64(littleEndian: data.loadUnaligned(fromByteOffset: offset, as: UInt64.self))))
    }
  }

  /// The bytes of `value`, rounded to nearest; nil when it does not fit the format.
  func encode(_ value: Float) -> [UInt8]? {
    func bytes<Bits: FixedWidthInteger>(_ bits: Bits) -> [UInt8] {
      (0..<Bits.bitWidth / 8).map { UInt8(truncatingIfNeeded: bits >> Bits($0 * 8)) }
    }
    switch self {
    case .float16:
      let half = Float16(value)
      return half.isFinite ? bytes(half.bitPattern) : nil
    case .bfloat16:
      let rounded = value.bitPattern &+ 0x7fff &+ ((value.bitPattern >> 16) & 1)
      let brief = UInt16(truncatingIfNeeded: rounded >> 16)
      return brief & 0x7f80 == 0x7f80 ? nil : bytes(brief)
    case .float32: return bytes(value.bitPattern)
    case .float64: return bytes(Double(value).bitPattern)
    }
  }

  /// `value` as it comes back once it was stored; nil when it does not fit the format.
  func rounded(_ value: Float) -> Float? {
    encode(value).map { bytes in bytes.withUnsafeBytes { decode($0, 0) } }
  }
}
