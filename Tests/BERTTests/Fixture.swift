import BERT
import Checkpoint
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

  /// The tiny BERT's two layers twice over, so that paths have layers above which differ from the last.
  static func fourLayers() throws -> BERT {
    let bert = try open().bert
    let configuration = try FixtureFiles.withCopy(of: "keras") { copy in
      let url = copy.appending(path: "config.json")
      let four = try String(contentsOf: url, encoding: .utf8).replacingOccurrences(
        of: "\"num_hidden_layers\": 2", with: "\"num_hidden_layers\": 4")
      try four.write(to: url, atomically: true, encoding: .utf8)
      return try BERTConfiguration(contentsOf: url)
    }
    var weights = bert.weights
    weights.layers += weights.layers
    return BERT(configuration: configuration, weights: weights)
  }
}
