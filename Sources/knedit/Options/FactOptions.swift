import ArgumentParser
import Foundation
import Relations

/// Which facts of a relation are meant.
struct FactOptions: ParsableArguments {
  @Option(help: "A file {relation: [index into facts.json, …]} that selects facts.")
  var facts: String?

  @Option(parsing: .unconditional, help: "At most so many facts of a relation, from the first on.")
  var limit: Int?

  func validate() throws {
    if let limit, limit < 1 { throw ValidationError("--limit must be at least 1.") }
  }

  func selection() throws -> FactSelection? {
    try facts.map { try FactSelection(contentsOf: URL(filePath: $0)) }
  }
}
