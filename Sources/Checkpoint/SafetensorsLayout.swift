import Foundation

/// Reads the header of a safetensors file: eight bytes of length, a JSON object, then the data.
///
/// The header is checked completely before a byte of data is believed.
enum SafetensorsLayout {
  /// The longest header that is read, in bytes; real ones have some ten thousand.
  static let longestHeader = 16 << 20

  /// Bytes per value of every type the format knows; those that hold no weights are checked all the same.
  private static let elementSizes = [
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
    "U32": 4,
    "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
  ]

  static func read(_ url: URL) throws(CheckpointError) -> [TensorEntry] {
    func bad(_ reason: String) -> CheckpointError { .unreadable(path: url.path, reason: reason) }
    let data: Data
    do { data = try Data(contentsOf: url, options: .alwaysMapped) } catch {
      throw bad("it cannot be opened as a file")
    }
    guard data.count >= 8 else { throw bad("it is too short for a safetensors file") }
    let claimed = data.prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    guard claimed <= UInt64(longestHeader) else {
      throw bad("its header claims \(claimed) bytes, so it is no safetensors file or a hostile one")
    }
    let length = Int(claimed)
    guard 8 + length <= data.count else { throw bad("its header is cut short") }
    let items: [SafetensorsItem]
    do { items = try SafetensorsHeader.items(ArraySlice(data[8..<8 + length])) } catch {
      throw bad(error.reason)
    }
    let available = data.count - 8 - length
    for item in items {
      guard var size = elementSizes[item.elementType] else {
        throw bad("tensor \(item.name) is stored as \(item.elementType), which is not supported")
      }
      for extent in item.shape {
        let product = size.multipliedReportingOverflow(by: extent)
        guard !product.overflow else { throw bad("tensor \(item.name) claims an impossible shape") }
        size = product.partialValue
      }
      guard item.begin <= item.end, item.end <= available else {
        throw bad("the data of tensor \(item.name) lie outside the file, which is cut short or hostile")
      }
      guard size == item.end - item.begin else {
        throw bad("tensor \(item.name) has another number of bytes than its shape needs")
      }
    }
    try requireSeamless(items, available: available, refusal: bad)
    return items.sorted { $0.name < $1.name }.map { item in
      let location: TensorEntry.Location =
        ByteFormat(rawValue: item.elementType).map { .bytes(offset: 8 + length + item.begin, format: $0) }
        ?? .dataset
      return TensorEntry(
        name: item.name, canonicalName: CheckpointFormat.canonicalName(flat: item.name), shape: item.shape,
        element: item.elementType, storage: "contiguous", isUsed: false, isExact: true, location: location)
    }
  }

  /// The format has the tensors fill the file without gaps, so that nothing can hide between or behind them.
  private static func requireSeamless(
    _ items: [SafetensorsItem], available: Int, refusal: (String) -> CheckpointError
  ) throws(CheckpointError) {
    let ordered = items.sorted { ($0.begin, $0.end) < ($1.begin, $1.end) }
    var reached = 0
    var previous = "the header"
    for item in ordered {
      if item.begin < reached { throw refusal("the data of tensors \(previous) and \(item.name) overlap") }
      if item.begin > reached { throw refusal("there is a gap between \(previous) and tensor \(item.name)") }
      reached = item.end
      previous = item.name
    }
    guard reached == available else {
      throw refusal("\(available - reached) bytes follow the data of its last tensor")
    }
  }
}
