import ArgumentParser
import Checkpoint
import Foundation
import Relations

/// Where the relations come from.
struct RelationOptions: ParsableArguments {
  @Option(
    help: "A directory of relations in PARAREL's layout. Default: the bundled demo's; of a record, what it names.")
  var relations: String?

  /// The files that the relations of a directory are read from.
  static func files(in directory: String) -> [String] {
    let patterns = directory + "/patterns"
    let names = (try? FileManager.default.contentsOfDirectory(atPath: patterns)) ?? []
    return [directory + "/facts.json", directory + "/labels.json"] + names.map { patterns + "/" + $0 }
  }

  func path() throws -> String { try relations ?? DemoCheckpoint.path(insteadOf: "--relations") + "/relations" }

  func open() throws -> RelationCatalogue { try RelationCatalogue(directory: URL(filePath: path())) }
}
