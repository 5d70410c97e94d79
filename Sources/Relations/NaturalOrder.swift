/// Orders names as a reader would: runs of digits by their value, so that P36 comes before P101.
struct NaturalOrder: Comparable {
  private let name: String
  private let runs: [Run]

  private enum Run: Equatable {
    case text(Substring)
    /// Without leading zeros, so that a longer run is a larger number.
    case number(Substring)
  }

  init(_ name: String) {
    self.name = name
    var runs: [Run] = []
    var rest = name[...]
    while let first = rest.first {
      let isNumber = Self.isDigit(first)
      let run = rest.prefix { Self.isDigit($0) == isNumber }
      runs.append(isNumber ? .number(run.drop { $0 == "0" }) : .text(run))
      rest = rest[run.endIndex...]
    }
    self.runs = runs
  }

  private static func isDigit(_ character: Character) -> Bool {
    ("0"..."9").contains(character) && character.isASCII
  }

  static func < (left: NaturalOrder, right: NaturalOrder) -> Bool {
    for (one, other) in zip(left.runs, right.runs) where one != other {
      switch (one, other) {
      case (.number(let small), .number(let large)):
        return (small.count, String(small)) < (large.count, String(large))
      case (.text(let small), .text(let large)): return small < large
      case (.number, .text): return true
      case (.text, .number): return false
      }
    }
    // P07 and P7 are equal run by run; their spelling decides, so that the order is total.
    return left.runs.count == right.runs.count ? left.name < right.name : left.runs.count < right.runs.count
  }

  static func == (left: NaturalOrder, right: NaturalOrder) -> Bool { left.name == right.name }
}
