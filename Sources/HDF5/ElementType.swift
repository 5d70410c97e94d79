import CHDF5

/// How one value of a dataset or attribute is stored.
public struct ElementType: Hashable, Sendable, CustomStringConvertible {
  /// The families of types that matter here.
  public enum Class: String, Hashable, Sendable {
    /// IEEE-like floating point, of any width.
    case float
    /// Signed or unsigned integers.
    case integer
    /// Fixed- or variable-length text.
    case string
    /// Compounds, references, opaque data and the like.
    case other
  }

  /// The family.
  public let elementClass: Class
  /// Bytes per value; for variable-length strings the size of the reference.
  public let byteCount: Int
  /// Whether the most significant byte comes first.
  let isBigEndian: Bool
  /// Bits of the exponent, 0 unless floating point; tells float16 (5) from bfloat16 (8).
  let exponentBits: Int
  /// Whether the bytes are exactly IEEE 754 binary32, least significant byte first.
  public let isLittleEndianFloat32: Bool

  /// A short name: F16, BF16, F32, F64, I64, string, …, with the byte order when it is the unusual one.
  public var description: String {
    let bits = byteCount * 8
    let name =
      switch elementClass {
      case .float: byteCount == 2 && exponentBits == 8 ? "BF16" : "F\(bits)"
      case .integer: "I\(bits)"
      case .string: "string"
      case .other: "other"
      }
    let orderMatters = elementClass == .float || elementClass == .integer
    return isBigEndian && orderMatters && byteCount > 1 ? "\(name) (big-endian)" : name
  }

  /// Reads the properties of a library type; call it inside `Library.locked`.
  init(_ type: hid_t) {
    byteCount = H5Tget_size(type)
    isBigEndian = H5Tget_order(type) == H5T_ORDER_BE
    switch H5Tget_class(type) {
    case H5T_FLOAT: elementClass = .float
    case H5T_INTEGER: elementClass = .integer
    case H5T_STRING: elementClass = .string
    default: elementClass = .other
    }
    var exponent = 0
    if elementClass == .float {
      var sign = 0
      var exponentPosition = 0
      var mantissaPosition = 0
      var mantissa = 0
      H5Tget_fields(type, &sign, &exponentPosition, &exponent, &mantissaPosition, &mantissa)
    }
    exponentBits = exponent
    isLittleEndianFloat32 = elementClass == .float && H5Tequal(type, knedit_h5t_ieee_f32le()) > 0
  }
}
