import Foundation
import Relations

/// What `locate` finds, as it is written to and read from JSON.
public struct LocatedRelations: Sendable, Hashable, Codable {
  /// The version of this document's form.
  public static let currentSchema = 1
  /// Version of the form, now 1.
  public var schema: Int
  /// One entry a relation.
  public var relations: [LocatedRelation]

  /// A document of the current form.
  public init(relations: [LocatedRelation]) {
    schema = Self.currentSchema
    self.relations = relations
  }

  /// Reads a document of located neurons.
  ///
  /// - Throws: ``LocationError``.
  public init(contentsOf url: URL) throws(LocationError) {
    let data: Data
    do { data = try Data(contentsOf: url) } catch { throw .unreadable(path: url.path) }
    do { self = try JSONDecoder().decode(LocatedRelations.self, from: data) } catch {
      throw .notLocated(path: url.path)
    }
    guard schema == Self.currentSchema else { throw .unknownSchema(path: url.path, found: schema) }
    for fact in relations.flatMap(\.facts) where Set(fact.refinedSet).count < fact.neurons.count {
      throw .repeated(subject: fact.subject, path: url.path)
    }
  }

  /// The entry of a relation.
  public func relation(_ name: String) throws(LocationError) -> LocatedRelation {
    guard let found = relations.first(where: { $0.relation == name }) else {
      throw .missingRelation(name: name, present: relations.map(\.relation))
    }
    return found
  }
}

/// The neurons of a relation's facts.
public struct LocatedRelation: Sendable, Hashable, Codable {
  /// The relation's name.
  public var relation: String
  /// The share of prompts that refining ended with.
  public var p: Double
  /// Mean size of the refined sets.
  public var meanSize: Double
  /// The attribution rule's name, or `baseline`.
  public var rule: String
  /// Points on the path; 0 for the baseline.
  public var steps: Int
  /// The facts, in the order of the relation.
  public var facts: [LocatedFact]

  /// An entry with all its fields.
  public init(relation: String, p: Double, meanSize: Double, rule: String, steps: Int, facts: [LocatedFact]) {
    self.relation = relation
    self.p = p
    self.meanSize = meanSize
    self.rule = rule
    self.steps = steps
    self.facts = facts
  }
}

/// The neurons of one fact.
public struct LocatedFact: Sendable, Hashable, Codable {
  /// A neuron of the refined set.
  public struct Member: Sendable, Hashable, Codable {
    /// Layer, from 0.
    public var layer: Int
    /// Intermediate unit, from 0.
    public var index: Int
    /// In how many of the fact's coarse sets it is.
    public var prompts: Int

    /// The neuron.
    public var neuron: Neuron { Neuron(layer: layer, index: index) }

    /// Unit `index` of layer `layer`, found for `prompts` prompts.
    public init(layer: Int, index: Int, prompts: Int) {
      self.layer = layer
      self.index = index
      self.prompts = prompts
    }
  }

  /// The head of the fact.
  public var subject: String
  /// The tail of the fact.
  public var answer: String
  /// The refined set, by layer and index.
  public var neurons: [Member]

  /// The refined set of the fact with that head and tail.
  public init(subject: String, answer: String, neurons: [Member]) {
    self.subject = subject
    self.answer = answer
    self.neurons = neurons
  }

  /// The refined set's neurons.
  public var refinedSet: [Neuron] { neurons.map(\.neuron) }
}

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
