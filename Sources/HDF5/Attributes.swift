import CHDF5

extension File {
  /// The largest attribute that is read, in bytes.
  static let attributeLimit = 64 << 20

  /// Whether an object (by default the root group) has an attribute of that name.
  func hasAttribute(_ name: String, of object: String = "/") -> Bool {
    Library.locked { H5Aexists_by_name(handle.id, object, name, Library.defaultID) > 0 }
  }

  /// A text attribute of an object (by default the root group); nil when there is none of that name.
  ///
  /// - Throws: ``HDF5Error`` when the attribute is no text, is not UTF-8, or holds several strings.
  public func stringAttribute(_ name: String, of object: String = "/") throws(HDF5Error) -> String? {
    guard let strings = try stringArrayAttribute(name, of: object) else { return nil }
    guard strings.count == 1 else {
      throw HDF5Error(
        action: "read attribute \(name) of", file: path, object: object,
        reason: "it holds \(strings.count) strings where one is expected")
    }
    return strings[0]
  }

  /// The strings of a text attribute of an object (by default the root group); nil when there is none of that name.
  ///
  /// The text may be of fixed or variable length, ASCII or UTF-8. A single string is an array of one; an empty
  /// array may be of any type.
  ///
  /// - Throws: ``HDF5Error`` when the attribute is no text, is not UTF-8 or is absurdly large.
  public func stringArrayAttribute(_ name: String, of object: String = "/") throws(HDF5Error) -> [String]? {
    guard hasAttribute(name, of: object) else { return nil }
    let action = "read attribute \(name) of"
    return try Library.locked { () throws(HDF5Error) in
      guard
        let attribute = Handle(
          H5Aopen_by_name(handle.id, object, name, Library.defaultID, Library.defaultID),
          closing: { H5Aclose($0) }),
        let type = Handle(H5Aget_type(attribute.id), closing: { H5Tclose($0) }),
        let space = Handle(H5Aget_space(attribute.id), closing: { H5Sclose($0) })
      else { throw HDF5Error.fromLibrary(action, file: path, object: object) }
      let points = H5Sget_simple_extent_npoints(space.id)
      guard points >= 0 else { throw HDF5Error.fromLibrary(action, file: path, object: object) }
      if points == 0 { return [] }
      func refusal(_ reason: String) -> HDF5Error {
        HDF5Error(action: action, file: path, object: object, reason: reason)
      }
      guard H5Tget_class(type.id) == H5T_STRING else { throw refusal("it holds no text") }
      let size = H5Tget_size(type.id)
      guard size > 0, points <= File.attributeLimit / size else {
        throw refusal("it is larger than \(File.attributeLimit >> 20) MB")
      }
      let bytes =
        H5Tis_variable_str(type.id) > 0
        ? readVariable(attribute, type: type, space: space, count: Int(points))
        : readFixed(attribute, type: type, count: Int(points), size: size)
      guard let bytes else { throw HDF5Error.fromLibrary(action, file: path, object: object) }
      var strings: [String] = []
      for text in bytes {
        guard let string = String(validating: text, as: UTF8.self) else { throw refusal("it is not UTF-8") }
        strings.append(string)
      }
      return strings
    }
  }

  private func readFixed(_ attribute: Handle, type: Handle, count: Int, size: Int) -> [[UInt8]]? {
    // `count` strings of `size` bytes each, the memory type being the file's own.
    var bytes = [UInt8](repeating: 0, count: count * size)
    guard H5Aread(attribute.id, type.id, &bytes) >= 0 else { return nil }
    let padding = H5Tget_strpad(type.id)
    return (0..<count).map { index in
      let text = bytes[index * size..<(index + 1) * size]
      switch padding {
      case H5T_STR_NULLTERM: return Array(text.prefix { $0 != 0 })
      case H5T_STR_SPACEPAD: return Array(text.reversed().drop { $0 == 0x20 }.reversed())
      default: return Array(text.reversed().drop { $0 == 0 }.reversed())
      }
    }
  }

  private func readVariable(_ attribute: Handle, type: Handle, space: Handle, count: Int) -> [[UInt8]]? {
    // One pointer per string; the library allocates the texts, zero-terminated, and takes them back below.
    var pointers = [UnsafeMutablePointer<CChar>?](repeating: nil, count: count)
    guard H5Aread(attribute.id, type.id, &pointers) >= 0 else { return nil }
    let texts = pointers.map { pointer -> [UInt8] in
      guard let pointer else { return [] }
      var text: [UInt8] = []
      var position = 0
      while pointer[position] != 0 {
        text.append(UInt8(bitPattern: pointer[position]))
        position += 1
      }
      return text
    }
    H5Dvlen_reclaim(type.id, space.id, Library.defaultID, &pointers)
    return texts
  }

  /// Writes one text attribute, variable-length UTF-8, replacing one of the same name.
  ///
  /// - Parameters:
  ///   - name: the attribute's name.
  ///   - object: the path of the group or dataset that carries it, the root group by default.
  ///   - value: the text; it must not hold the NUL character.
  /// - Throws: ``HDF5Error`` when there is no such object or the file cannot be written.
  public func setAttribute(_ name: String, of object: String = "/", to value: String) throws(HDF5Error) {
    try setStrings(name, of: object, [value], isArray: false)
  }

  /// Writes an attribute that holds several texts, variable-length UTF-8, replacing one of the same name.
  ///
  /// - Throws: ``HDF5Error`` when there is no such object or the file cannot be written.
  public func setAttribute(_ name: String, of object: String = "/", to values: [String]) throws(HDF5Error) {
    try setStrings(name, of: object, values, isArray: true)
  }

  private func setStrings(
    _ name: String, of object: String, _ values: [String], isArray: Bool
  ) throws(HDF5Error) {
    let action = "write attribute \(name) of"
    guard values.allSatisfy({ !$0.utf8.contains(0) }) else {
      throw HDF5Error(action: action, file: path, object: object, reason: "the text holds a NUL character")
    }
    try Library.locked { () throws(HDF5Error) in
      func failure() -> HDF5Error { HDF5Error.fromLibrary(action, file: path, object: object) }
      if H5Aexists_by_name(handle.id, object, name, Library.defaultID) > 0 {
        guard H5Adelete_by_name(handle.id, object, name, Library.defaultID) >= 0 else { throw failure() }
      }
      var extent = [UInt64(values.count)]
      guard let type = Handle(H5Tcopy(knedit_h5t_c_s1()), closing: { H5Tclose($0) }),
        H5Tset_size(type.id, Library.variableSize) >= 0,
        H5Tset_cset(type.id, H5T_CSET_UTF8) >= 0,
        let space = Handle(
          isArray ? H5Screate_simple(1, &extent, nil) : H5Screate(H5S_SCALAR), closing: { H5Sclose($0) }),
        let attribute = Handle(
          H5Acreate_by_name(
            handle.id, object, name, type.id, space.id, Library.defaultID, Library.defaultID,
            Library.defaultID), closing: { H5Aclose($0) })
      else { throw failure() }
      guard !values.isEmpty else { return }
      // Zero-terminated copies, one after another; `starts` says where in `bytes` each begins.
      var bytes: [CChar] = []
      var starts: [Int] = []
      for value in values {
        starts.append(bytes.count)
        bytes += value.utf8.map { CChar(bitPattern: $0) } + [0]
      }
      let status = bytes.withUnsafeBufferPointer { buffer -> herr_t in
        guard let base = buffer.baseAddress else { return -1 }
        let pointers: [UnsafePointer<CChar>?] = starts.map { base + $0 }
        return H5Awrite(attribute.id, type.id, pointers)
      }
      guard status >= 0 else { throw failure() }
    }
  }
}
