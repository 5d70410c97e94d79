import ArgumentParser
import Relations

/// Wordings that an edit is judged on and does not see.
struct HoldOutOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help: """
      How many of the relation's last templates the edit does not see, to judge it on them. Default: 1 for an optimized \
      update, else 0.
      """)
  var holdOut: Int?

  func validate() throws {
    if let holdOut, holdOut < 0 { throw ValidationError("--hold-out must not be negative.") }
  }

  /// Refuses to hold back more of the relations' templates than they can spare.
  func requireTemplates(_ relations: [Relation]) throws {
    guard let holdOut else { return }
    for relation in relations where holdOut >= relation.templates.count {
      let count = relation.templates.count
      throw InputError(
        "\(relation.name) has \(count) template\(count == 1 ? "" : "s"), of which the edit needs one: --hold-out may be "
          + "\(count - 1) at most.")
    }
  }
}
