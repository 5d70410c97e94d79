extension Sequence where Element: BinaryFloatingPoint {
  /// ‖x‖, the square root of the sum of squares, in double precision.
  public var norm: Double { reduce(0) { $0 + Double($1) * Double($1) }.squareRoot() }
}
