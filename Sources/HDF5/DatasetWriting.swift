import CHDF5

extension Dataset {
  /// Replaces one row of a two-dimensional dataset by `values`, `[columns]`, converted to the stored type.
  ///
  /// - Throws: ``HDF5Error`` when there is no such row, the number of values differs, or the file cannot be
  ///   written.
  public func writeRow(_ row: Int, _ values: [Float]) throws(HDF5Error) {
    try write(try Line(.row, index: row, of: self, action: "write row \(row) of dataset"), values)
  }

  /// Replaces one column of a two-dimensional dataset by `values`, `[rows]`, converted to the stored type.
  ///
  /// - Throws: ``HDF5Error`` when there is no such column, the number of values differs, or the file cannot be
  ///   written.
  public func writeColumn(_ column: Int, _ values: [Float]) throws(HDF5Error) {
    try write(try Line(.column, index: column, of: self, action: "write column \(column) of dataset"), values)
  }

  private func write(_ line: Line, _ values: [Float]) throws(HDF5Error) {
    guard values.count == line.count else {
      throw failure(line.action, "\(values.count) values were given and it has \(line.count)")
    }
    guard !values.isEmpty else { return }
    try Library.locked { () throws(HDF5Error) in
      let spaces = try line.select()
      // `values` has `line.count` native floats, the number that both selections have.
      let status = H5Dwrite(
        handle.id, knedit_h5t_native_float(), spaces.memory.id, spaces.file.id, Library.defaultID, values)
      guard status >= 0 else { throw HDF5Error.fromLibrary(line.action, file: file.path, object: path) }
    }
  }
}

extension File {
  /// Creates the group of that path, and those above it; groups that exist stay as they are.
  public func createGroup(_ group: String) throws(HDF5Error) {
    try Library.locked { () throws(HDF5Error) in
      var reached = ""
      for part in group.split(separator: "/") {
        reached += "/" + part
        if H5Lexists(handle.id, reached, Library.defaultID) > 0 {
          var status = H5G_stat_t()
          guard H5Gget_objinfo(handle.id, reached, true, &status) >= 0, status.type == H5G_GROUP else {
            throw HDF5Error(
              action: "create group", file: path, object: group, reason: "\(reached) exists and is no group")
          }
          continue
        }
        let created = Handle(
          H5Gcreate2(handle.id, reached, Library.defaultID, Library.defaultID, Library.defaultID),
          closing: { H5Gclose($0) })
        guard created != nil else {
          throw HDF5Error.fromLibrary("create group", file: path, object: reached)
        }
      }
    }
  }

  /// Creates a contiguous little-endian float32 dataset, and the groups above it.
  ///
  /// - Parameters:
  ///   - object: the dataset's path, such as `P19/attributions`.
  ///   - shape: the extents, outermost first, such as `[prompt, layer, neuron]`.
  ///   - values: the values, the last extent running fastest.
  /// - Throws: ``HDF5Error`` when the number of values is not the product of the extents, something of that path
  ///   exists, or the file cannot be written.
  @discardableResult
  public func createDataset(_ object: String, shape: [Int], values: [Float]) throws(HDF5Error) -> Dataset {
    guard shape.allSatisfy({ $0 >= 0 }), shape.reduce(1, *) == values.count else {
      throw HDF5Error(
        action: "create dataset", file: path, object: object,
        reason: "\(values.count) values do not fill the shape \(shape)")
    }
    let parent = object.split(separator: "/").dropLast().joined(separator: "/")
    try createGroup(parent)
    try Library.locked { () throws(HDF5Error) in
      let extents = shape.map { UInt64($0) }
      guard
        let space = Handle(
          shape.isEmpty ? H5Screate(H5S_SCALAR) : H5Screate_simple(Int32(extents.count), extents, nil),
          closing: { H5Sclose($0) }),
        let dataset = Handle(
          H5Dcreate2(
            handle.id, object, knedit_h5t_ieee_f32le(), space.id, Library.defaultID, Library.defaultID,
            Library.defaultID), closing: { H5Dclose($0) })
      else { throw HDF5Error.fromLibrary("create dataset", file: path, object: object) }
      // `values` has as many floats as the dataspace has points, checked above.
      let status = H5Dwrite(
        dataset.id, knedit_h5t_native_float(), Library.defaultID, Library.defaultID, Library.defaultID, values
      )
      guard values.isEmpty || status >= 0 else {
        throw HDF5Error.fromLibrary("write dataset", file: path, object: object)
      }
    }
    return try dataset(object)
  }
}
