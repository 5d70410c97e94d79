import CHDF5

/// An object in a file's hierarchy.
public struct ListedObject: Hashable, Sendable {
  /// What the object is.
  public enum Kind: Hashable, Sendable {
    /// A folder of further objects.
    case group
    /// An array.
    case dataset
    /// A named type, or a link that is not followed (soft and external links).
    case other
  }

  /// The path from the root, without a leading slash: `bert/encoder/kernel:0`.
  public let path: String
  /// What the object is.
  public let kind: Kind
}

extension File {
  /// The number of objects beyond which a listing is refused; a large BERT checkpoint has some 500.
  static let listingLimit = 16_384
  /// The depth of groups beyond which a listing is refused.
  static let depthLimit = 64

  /// Every object of the file, sorted by path.
  ///
  /// Soft and external links are named but not followed, and a group that can be reached on two ways is entered
  /// once, so that a file whose links form a ring is listed all the same.
  ///
  /// - Throws: ``HDF5Error`` when the hierarchy is damaged, or larger or deeper than any checkpoint's.
  public func objects() throws(HDF5Error) -> [ListedObject] {
    try Library.locked { () throws(HDF5Error) in
      var found: [ListedObject] = []
      var entered: Set<[UInt]> = []
      try list(group: "/", prefix: "", depth: 0, into: &found, entered: &entered)
      return found.sorted { $0.path < $1.path }
    }
  }

  private func list(
    group: String, prefix: String, depth: Int, into found: inout [ListedObject], entered: inout Set<[UInt]>
  ) throws(HDF5Error) {
    guard depth <= File.depthLimit else {
      throw HDF5Error(
        action: "list group", file: path, object: group,
        reason: "groups lie more than \(File.depthLimit) levels deep")
    }
    guard let handle = Handle(H5Gopen2(self.handle.id, group, Library.defaultID), closing: { H5Gclose($0) })
    else { throw HDF5Error.fromLibrary("open group", file: path, object: group) }
    var own = H5G_stat_t()
    guard H5Gget_objinfo(handle.id, ".", false, &own) >= 0 else {
      throw HDF5Error.fromLibrary("list group", file: path, object: group)
    }
    guard entered.insert([own.objno.0, own.objno.1]).inserted else { return }
    var information = H5G_info_t()
    guard H5Gget_info(handle.id, &information) >= 0 else {
      throw HDF5Error.fromLibrary("list group", file: path, object: group)
    }
    guard information.nlinks <= UInt64(max(0, File.listingLimit - found.count)) else {
      throw HDF5Error(
        action: "list group", file: path, object: group,
        reason: "the file holds more than \(File.listingLimit) objects, which no BERT checkpoint does")
    }
    for index in 0..<information.nlinks {
      let name = try linkName(handle, group: group, index: index)
      var status = H5G_stat_t()
      guard H5Gget_objinfo(handle.id, name, false, &status) >= 0 else {
        throw HDF5Error.fromLibrary("examine", file: path, object: prefix + name)
      }
      switch status.type {
      case H5G_GROUP:
        found.append(ListedObject(path: prefix + name, kind: .group))
        try list(
          group: prefix + name, prefix: prefix + name + "/", depth: depth + 1, into: &found, entered: &entered
        )
      case H5G_DATASET:
        found.append(ListedObject(path: prefix + name, kind: .dataset))
      default:
        found.append(ListedObject(path: prefix + name, kind: .other))
      }
    }
  }

  private func linkName(_ handle: Handle, group: String, index: UInt64) throws(HDF5Error) -> String {
    let length = H5Lget_name_by_idx(
      handle.id, ".", H5_INDEX_NAME, H5_ITER_INC, index, nil, 0, Library.defaultID)
    guard length > 0, length < 1 << 16 else {
      throw HDF5Error.fromLibrary("list group", file: path, object: group)
    }
    // One more byte than the name has, for the terminating zero.
    var bytes = [CChar](repeating: 0, count: Int(length) + 1)
    let written = H5Lget_name_by_idx(
      handle.id, ".", H5_INDEX_NAME, H5_ITER_INC, index, &bytes, bytes.count, Library.defaultID)
    guard written == length else { throw HDF5Error.fromLibrary("list group", file: path, object: group) }
    return String(decoding: bytes.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }
}
