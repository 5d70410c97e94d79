import BERT
import FixtureFiles
import Foundation

/// What `make_fixtures.py` wrote into golden.json: Transformers' double-precision word on the tiny BERT.
struct Golden: Decodable {
  struct Attributions: Decodable {
    let right20, left20, exact: [[Double]]
  }
  let text: String
  let ids: [Int]
  let mask: Int
  let answerId: Int
  let logProbabilities: [Double]
  let activations: [[Double]]
  let attributions: Attributions

  static func all() throws -> [Golden] {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(
      [Golden].self, from: Data(contentsOf: FixtureFiles.directory.appending(path: "golden.json")))
  }
}

enum Fixture {
  static func open(_ name: String = "keras") throws -> MaskedLanguageModel {
    try MaskedLanguageModel(opening: FixtureFiles.directory.appending(path: name))
  }
}
