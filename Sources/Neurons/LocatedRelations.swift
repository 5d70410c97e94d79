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
  ///
  /// - Throws: Where there is none.
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
  /// Points on the path; 0 for the baseline and where the rule chooses them.
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
