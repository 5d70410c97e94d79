import CHDF5

extension Dataset {
  /// Reads every value as float32 into `buffer`, row after row; narrower, wider and big-endian floats are
  /// converted.
  ///
  /// - Throws: ``HDF5Error`` when the buffer's count is not ``count``, or the dataset holds no numbers, or its
  ///   data is damaged or missing.
  public func read(into buffer: UnsafeMutableBufferPointer<Float>) throws(HDF5Error) {
    guard buffer.count == count else {
      throw failure("read dataset", "room for \(buffer.count) values was given and it has \(count)")
    }
    try requireReadable("read dataset")
    guard let base = buffer.baseAddress else { return }
    try Library.locked { () throws(HDF5Error) in
      // The buffer holds exactly as many native floats as the dataset has values, checked above.
      try readAll(into: UnsafeMutableRawPointer(base), as: knedit_h5t_native_float())
    }
  }

  /// All values as float32.
  ///
  /// - Parameter expectedShape: the shape that the caller counts on, compared before any memory is taken.
  /// - Throws: ``HDF5Error`` when the shape is another, and for the reasons of ``read(into:)``.
  public func floats(expecting expectedShape: [Int]) throws(HDF5Error) -> [Float] {
    try requireShape(expectedShape)
    var values = [Float](repeating: 0, count: count)
    var thrown: HDF5Error?
    values.withUnsafeMutableBufferPointer { buffer in
      do throws(HDF5Error) { try read(into: buffer) } catch { thrown = error }
    }
    if let thrown { throw thrown }
    return values
  }

  /// All values as float64.
  ///
  /// - Parameter expectedShape: the shape that the caller counts on, compared before any memory is taken.
  /// - Throws: ``HDF5Error`` when the shape is another, or the dataset holds no numbers, or is damaged.
  public func doubles(expecting expectedShape: [Int]) throws(HDF5Error) -> [Double] {
    try requireShape(expectedShape)
    var values = [Double](repeating: 0, count: count)
    var thrown: HDF5Error?
    values.withUnsafeMutableBytes { bytes in
      guard let base = bytes.baseAddress, !bytes.isEmpty else { return }
      do throws(HDF5Error) {
        try Library.locked { () throws(HDF5Error) in
          // As many native doubles as the dataset has values: the array was made with `count`.
          try readAll(into: base, as: knedit_h5t_native_double())
        }
      } catch { thrown = error }
    }
    if let thrown { throw thrown }
    return values
  }

  /// One row of a two-dimensional dataset, `[columns]`.
  ///
  /// - Throws: ``HDF5Error`` when there is no such row, and for the reasons of ``read(into:)``.
  public func row(_ row: Int) throws(HDF5Error) -> [Float] {
    let line = try Line(.row, index: row, of: self, action: "read row \(row) of dataset")
    return try read(line)
  }

  /// One column of a two-dimensional dataset, `[rows]`.
  ///
  /// - Throws: ``HDF5Error`` when there is no such column, and for the reasons of ``read(into:)``.
  public func column(_ column: Int) throws(HDF5Error) -> [Float] {
    let line = try Line(.column, index: column, of: self, action: "read column \(column) of dataset")
    return try read(line)
  }

  private func requireShape(_ expectedShape: [Int]) throws(HDF5Error) {
    guard shape == expectedShape else {
      throw failure("read dataset", "its shape is \(shape) where \(expectedShape) is expected")
    }
    try requireReadable("read dataset")
  }

  private func readAll(into base: UnsafeMutableRawPointer, as type: hid_t) throws(HDF5Error) {
    guard H5Dread(handle.id, type, Library.defaultID, Library.defaultID, Library.defaultID, base) >= 0 else {
      throw HDF5Error.fromLibrary("read dataset", file: file.path, object: path)
    }
  }

  private func read(_ line: Line) throws(HDF5Error) -> [Float] {
    var values = [Float](repeating: 0, count: line.count)
    guard !values.isEmpty else { return values }
    try Library.locked { () throws(HDF5Error) in
      let spaces = try line.select()
      // `values` has `line.count` native floats, the number that both selections have.
      let status = H5Dread(
        handle.id, knedit_h5t_native_float(), spaces.memory.id, spaces.file.id, Library.defaultID, &values)
      guard status >= 0 else { throw HDF5Error.fromLibrary(line.action, file: file.path, object: path) }
    }
    return values
  }
}

/// A row or a column of a two-dimensional dataset.
struct Line {
  enum Axis { case row, column }

  let axis: Axis
  let index: Int
  let dataset: Dataset
  let action: String
  /// Number of values along the line.
  let count: Int

  init(_ axis: Axis, index: Int, of dataset: Dataset, action: String) throws(HDF5Error) {
    guard dataset.shape.count == 2 else {
      throw dataset.failure(action, "its shape \(dataset.shape) is not two-dimensional")
    }
    let extent = axis == .row ? dataset.shape[0] : dataset.shape[1]
    guard index >= 0, index < extent else {
      throw dataset.failure(action, "there are \(extent), counted from 0")
    }
    try dataset.requireReadable(action)
    self.axis = axis
    self.index = index
    self.dataset = dataset
    self.action = action
    count = axis == .row ? dataset.shape[1] : dataset.shape[0]
  }

  /// The line in memory and in the file; call it inside `Library.locked`.
  func select() throws(HDF5Error) -> (memory: Handle, file: Handle) {
    let space = try dataset.dataspace(action)
    let start = axis == .row ? [UInt64(index), 0] : [0, UInt64(index)]
    let extents = axis == .row ? [1, UInt64(count)] : [UInt64(count), 1]
    var length = [UInt64(count)]
    guard H5Sselect_hyperslab(space.id, H5S_SELECT_SET, start, nil, extents, nil) >= 0,
      let memory = Handle(H5Screate_simple(1, &length, nil), closing: { H5Sclose($0) })
    else { throw HDF5Error.fromLibrary(action, file: dataset.file.path, object: dataset.path) }
    return (memory, space)
  }
}
