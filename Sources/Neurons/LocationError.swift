import Foundation

/// Why neurons cannot be read or do not serve.
public enum LocationError: Error, Sendable, Hashable, CustomStringConvertible, LocalizedError {
  /// The file cannot be opened.
  case unreadable(path: String)
  /// The file is no document of located neurons.
  case notLocated(path: String)
  /// The file has a form that this version does not know.
  case unknownSchema(path: String, found: Int)
  /// The file names a neuron of a fact twice.
  case repeated(subject: String, path: String)
  /// The file has nothing on that relation.
  case missingRelation(name: String, present: [String])
  /// The file has nothing on that fact.
  case missingFact(subject: String, answer: String, relation: String)
  /// A neuron that the model does not have, named by a neurons file or a record.
  case noSuchNeuron(layer: Int, index: Int, layers: Int, width: Int)

  /// One sentence for people.
  public var description: String {
    switch self {
    case .unreadable(let path): "\(path) cannot be opened; it should be a file of located neurons."
    case .notLocated(let path):
      "\(path) is no file of located neurons."
    case .unknownSchema(let path, let found):
      "\(path) has schema \(found), and this knedit reads schema \(LocatedRelations.currentSchema)."
    case .repeated(let subject, let path): "\(path) names a neuron of “\(subject)” twice; write the file anew."
    case .missingRelation(let name, let present):
      "The neurons file has nothing on \(name), only on \(present.isEmpty ? "no relation" : present.joined(separator: ", ")); "
        + "locate \(name) first."
    case .missingFact(let subject, let answer, let relation):
      "The neurons file has nothing on ⟨\(subject), \(relation), \(answer)⟩; locate this fact too."
    case .noSuchNeuron(let layer, let index, let layers, let width):
      "Neuron \(index) of layer \(layer) is asked for, but the model has \(layers) layers of \(width); the file that "
        + "names it was made for another model."
    }
  }

  /// The same, for Foundation.
  public var errorDescription: String? { description }
}
