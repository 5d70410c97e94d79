/// Rows of text with aligned columns.
struct Table {
  private var rows: [[String]] = []
  private let rightAligned: Set<Int>

  /// A table whose first row is `header`; columns in `right` are aligned right.
  init(_ header: [String], right: Set<Int> = []) {
    rightAligned = right
    if !header.isEmpty { rows.append(header) }
  }

  mutating func add(_ cells: String...) { rows.append(cells) }
  mutating func add(_ cells: [String]) { rows.append(cells) }

  var text: String {
    let count = rows.map(\.count).max() ?? 0
    let widths = (0..<count).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
    return rows.map { row in
      var line = row.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return rightAligned.contains(column) ? space + cell : cell + space
      }.joined(separator: "  ")
      while line.hasSuffix(" ") { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }
}
