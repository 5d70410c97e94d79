import FixtureFiles
import Foundation

/// Two relations in PARAREL's layout, written for a test and removed after it.
struct TemporaryCatalogue {
  var files: [String: String] = [
    "facts.json": """
    {"P101": [["Ada", "logic"], ["Ada", "music"], ["Ada", "logic"], ["Emmy", "algebra"]],
     "P36": [["Gondor", "Tirith"], ["Rohan", "Edoras"], ["Arnor", "Annuminas"]]}
    """,
    "labels.json": #"{"P36": "seat", "P101": "Field of Work"}"#,
    "patterns/P36.jsonl": """
    {"pattern": "The seat of [X] is [Y].", "lemma": "seat"}
    {"pattern": "[Y] rules [X] ."}

    """,
    "patterns/P101.jsonl": "{\"pattern\": \"[X] works on [Y].\"}\r\n\r\n",
  ]

  func callAsFunction<Result>(_ body: (URL) throws -> Result) throws -> Result {
    try FixtureFiles.withDirectory { directory in
      try FileManager.default.createDirectory(
        at: directory.appendingPathComponent("patterns"), withIntermediateDirectories: true)
      for (path, text) in files {
        try Data(text.utf8).write(to: directory.appendingPathComponent(path))
      }
      return try body(directory)
    }
  }
}
