import Foundation

/// The reference material beside the checkout, or where `KNEDIT_SHARED` says.
public enum SharedReference {
  /// Where it lies.
  public static let directory: URL = {
    if let path = ProcessInfo.processInfo.environment["KNEDIT_SHARED"] { return URL(filePath: path) }
    return FixtureFiles.directory.appending(path: "../../../shared").standardizedFileURL
  }()

  /// Whether reference tests run: when the material is there, or its absence is to be a failure.
  public static let isEnabled =
    FileManager.default.fileExists(atPath: directory.appending(path: "reference").path)
    || ProcessInfo.processInfo.environment["KNEDIT_REQUIRE_SHARED"] == "1"

  /// The trained model.
  public static var model: URL { directory.appending(path: "reference/kn-mini") }
  /// Its relations.
  public static var relations: URL { directory.appending(path: "pararel") }

  /// A golden document.
  public static func golden<Value: Decodable>(_ type: Value.Type, _ name: String) throws -> Value {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(type, from: Data(contentsOf: directory.appending(path: "reference/goldens/\(name)")))
  }
}
