import CHDF5

/// An array in an HDF5 file, with everything there is to know about it before a value is read.
public final class Dataset: Sendable {
  /// The path from the root, without a leading slash.
  public let path: String
  /// The extents, outermost first; empty for a single value.
  public let shape: [Int]
  /// How one value is stored.
  public let elementType: ElementType
  /// How the values lie in the file.
  public let layout: Layout
  /// The filters that chunks pass through, such as `shuffle` and `gzip`.
  public let filters: [String]
  /// The byte at which contiguous values begin, counted from the start of the file; nil for other layouts and
  /// for values never written.
  public let fileOffset: Int?
  /// The bytes that the values take up in the file, after compression.
  let storedByteCount: Int

  let file: File
  let handle: Handle

  /// Number of values, the product of the extents.
  public var count: Int { shape.reduce(1, *) }
  /// Whether values come back as they were written; some filters keep so many digits and no more, and move what lies beside.
  public var isExact: Bool { filters.allSatisfy(["gzip", "shuffle", "fletcher32", "szip"].contains) }
  /// Bytes of all values, uncompressed.
  public var byteCount: Int { count * elementType.byteCount }

  /// The most that gzip can shrink data by, rounded up; a dataset that claims more is not believed.
  static let compressionLimit = 1_100
  /// The largest chunk that is read, in bytes.
  static let chunkLimit = 1 << 30

  init(path: String, file: File) throws(HDF5Error) {
    self.path = path
    self.file = file
    let inspected = try Library.locked { () throws(HDF5Error) in try Dataset.inspect(path, of: file) }
    handle = inspected.handle
    shape = inspected.shape
    elementType = inspected.elementType
    layout = inspected.layout
    filters = inspected.filters
    fileOffset = inspected.fileOffset
    storedByteCount = inspected.storedByteCount
  }

  private struct Inspection {
    let handle: Handle
    let shape: [Int]
    let elementType: ElementType
    let layout: Layout
    let filters: [String]
    let fileOffset: Int?
    let storedByteCount: Int
  }

  private static func inspect(_ path: String, of file: File) throws(HDF5Error) -> Inspection {
    func failure() -> HDF5Error { HDF5Error.fromLibrary("open dataset", file: file.path, object: path) }
    guard let handle = Handle(H5Dopen2(file.handle.id, path, Library.defaultID), closing: { H5Dclose($0) })
    else { throw failure() }
    guard let space = Handle(H5Dget_space(handle.id), closing: { H5Sclose($0) }) else { throw failure() }
    guard let type = Handle(H5Dget_type(handle.id), closing: { H5Tclose($0) }) else { throw failure() }
    guard let properties = Handle(H5Dget_create_plist(handle.id), closing: { H5Pclose($0) }) else {
      throw failure()
    }
    let rank = H5Sget_simple_extent_ndims(space.id)
    guard rank >= 0 else { throw failure() }
    var extents = [UInt64](repeating: 0, count: Int(rank))
    guard rank == 0 || H5Sget_simple_extent_dims(space.id, &extents, nil) >= 0 else { throw failure() }
    let elementType = ElementType(type.id)
    // The product is formed with care once, here, so that `count` and `byteCount` cannot overflow later.
    var bytes = UInt64(max(elementType.byteCount, 1))
    for extent in extents {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: extent)
      guard !overflow, product <= UInt64(Int.max), extent <= UInt64(Int.max) else {
        throw HDF5Error(
          action: "open dataset", file: file.path, object: path,
          reason: "its shape \(extents) describes more bytes than can be addressed")
      }
      bytes = product
    }
    var fileSize: UInt64 = 0
    guard H5Fget_filesize(file.handle.id, &fileSize) >= 0 else { throw failure() }
    let layout = Layout(properties.id, rank: Int(rank))
    let offset = layout == .contiguous ? UInt64(H5Dget_offset(handle.id)) : Library.undefinedAddress
    return Inspection(
      handle: handle, shape: extents.map { Int($0) }, elementType: elementType, layout: layout,
      filters: Layout.filters(properties.id),
      fileOffset: offset == Library.undefinedAddress ? nil : Int(exactly: offset),
      storedByteCount: Int(clamping: min(H5Dget_storage_size(handle.id), fileSize)))
  }

  func failure(_ action: String, _ reason: String) -> HDF5Error {
    HDF5Error(action: action, file: file.path, object: path, reason: reason)
  }

  /// Refuses what must not or cannot be read as numbers; ask before taking memory for the values.
  ///
  /// - Throws: ``HDF5Error`` when the dataset holds no floating-point numbers, lies in other files, was never
  ///   written, or claims more values than its stored bytes can expand to.
  public func requireReadable(_ action: String = "read dataset") throws(HDF5Error) {
    guard elementType.elementClass == .float else {
      throw failure(action, "it holds \(elementType) values where floating-point numbers are expected")
    }
    guard layout != .elsewhere else {
      throw failure(action, "its values lie in other files, which is not supported; write it as one file")
    }
    if case .chunked(let extents) = layout {
      var bytes = elementType.byteCount
      for extent in extents {
        let (product, overflow) = bytes.multipliedReportingOverflow(by: extent)
        guard !overflow, product <= Dataset.chunkLimit else {
          throw failure(action, "a chunk of \(extents) values exceeds \(Dataset.chunkLimit >> 20) MB")
        }
        bytes = product
      }
    }
    guard byteCount == 0 || storedByteCount > 0 else {
      throw failure(action, "no value was ever written to it")
    }
    // libhdf5 1.10 believes a compact dataset's shape, and copies beyond what the object's header holds.
    let isBelieved =
      switch layout {
      case .compact: byteCount == storedByteCount
      case .chunked where !filters.isEmpty: byteCount / Dataset.compressionLimit <= storedByteCount
      case .contiguous, .chunked, .elsewhere: byteCount <= storedByteCount
      }
    guard isBelieved else {
      throw failure(
        action, "\(byteCount) bytes of values cannot come from the \(storedByteCount) bytes that are stored")
    }
  }

  /// Opens the dataspace of the whole dataset; call it inside `Library.locked`.
  func dataspace(_ action: String) throws(HDF5Error) -> Handle {
    guard let space = Handle(H5Dget_space(handle.id), closing: { H5Sclose($0) }) else {
      throw HDF5Error.fromLibrary(action, file: file.path, object: path)
    }
    return space
  }
}

extension File {
  /// The dataset of that path.
  ///
  /// - Throws: ``HDF5Error`` when there is none, or its description is damaged.
  public func dataset(_ path: String) throws(HDF5Error) -> Dataset { try Dataset(path: path, file: self) }
}
