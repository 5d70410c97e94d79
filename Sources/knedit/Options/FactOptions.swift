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

  /// The facts meant of each relation named, no relation twice; by default of those that ``facts`` names, or else of
  /// `otherwise`.
  func choose(
    of names: [String], otherwise: [String] = [], subjects: [String] = [], in catalogue: RelationCatalogue
  ) throws -> [(relation: Relation, facts: [Fact])] {
    let selection = try selection()
    var seen: Set<String> = []
    return try (names.isEmpty ? selection?.relationNames ?? otherwise : names)
      .map { try catalogue.relation(named: $0) }.filter { seen.insert($0.name).inserted }
      .map { ($0, try $0.choose(subjects: subjects, selection: selection, limit: limit)) }
  }

  /// What is said of so many facts that a model cannot be asked for.
  static func leftOut(_ count: Int) -> String {
    "\(count) \(count == 1 ? "fact is" : "facts are") left out: the vocabulary cannot spell the answer, or a prompt is too long "
      + "for the model."
  }
}
