import CHDF5

/// How a dataset's values lie in the file.
public enum Layout: Hashable, Sendable, CustomStringConvertible {
  /// One piece.
  case contiguous
  /// Inside the object header (small datasets).
  case compact
  /// Pieces of the given extents, possibly compressed.
  case chunked([Int])
  /// In other files, or put together from other datasets; never read here, because it would open further files.
  case elsewhere

  /// One word, with the extents of chunks.
  public var description: String {
    switch self {
    case .contiguous: "contiguous"
    case .compact: "compact"
    case .chunked(let extents): "chunked \(extents.map(String.init).joined(separator: "×"))"
    case .elsewhere: "in other files"
    }
  }

  /// Reads the layout from a dataset creation property list; call it inside `Library.locked`.
  init(_ properties: hid_t, rank: Int) {
    switch H5Pget_layout(properties) {
    case H5D_CONTIGUOUS:
      self = H5Pget_external_count(properties) > 0 ? .elsewhere : .contiguous
    case H5D_COMPACT:
      self = .compact
    case H5D_CHUNKED:
      var extents = [UInt64](repeating: 0, count: max(rank, 1))
      let found = H5Pget_chunk(properties, Int32(extents.count), &extents)
      self = .chunked(extents.prefix(max(0, Int(found))).map { Int(clamping: $0) })
    default:
      self = .elsewhere
    }
  }

  /// The names of the filters that a dataset's chunks pass through; call it inside `Library.locked`.
  static func filters(_ properties: hid_t) -> [String] {
    let count = H5Pget_nfilters(properties)
    guard count > 0 else { return [] }
    return (0..<UInt32(count)).map { index in
      var flags: UInt32 = 0
      var valueCount = 0
      var configuration: UInt32 = 0
      let filter = H5Pget_filter2(properties, index, &flags, &valueCount, nil, 0, nil, &configuration)
      switch filter {
      case 1: return "gzip"
      case 2: return "shuffle"
      case 3: return "fletcher32"
      case 4: return "szip"
      case 5: return "nbit"
      case 6: return "scaleoffset"
      default: return "filter \(filter)"
      }
    }
  }
}
