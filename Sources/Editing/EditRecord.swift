import BERT
import Foundation
import Neurons
import Relations

/// Everything there is to know about one edit, as it is kept beside the checkpoint that it made.
///
/// Enough to make the edit again from its source and to evaluate it.
public struct EditRecord: Sendable, Hashable, Codable {
  /// The version of this document's form.
  public static let currentSchema = 1
  /// The name of the record in an output directory.
  public static let fileName = "edit.json"

  /// A checkpoint that takes part.
  public struct Source: Sendable, Hashable, Codable {
    /// The model directory, or weights file, as the user gave it.
    public var model: String
    /// Name of the weights file.
    public var file: String
    /// SHA-256 of the weights file, lower-case hexadecimal.
    public var sha256: String

    /// A checkpoint by its path, file and fingerprint.
    public init(model: String, file: String, sha256: String) {
      self.model = model
      self.file = file
      self.sha256 = sha256
    }
  }

  /// What did the arithmetic.
  ///
  /// The edit made again is the same bit for bit where both are.
  public struct Machine: Sendable, Hashable, Codable {
    /// Threads.
    public var threads: Int
    /// The widest instructions of the processor that were used.
    public var instructions: String

    /// So many threads with such instructions.
    public init(threads: Int, instructions: String) {
      self.threads = threads
      self.instructions = instructions
    }
  }

  /// What kind of edit.
  public enum Kind: String, Sendable, Hashable, Codable {
    /// Facts got other answers.
    case update
    /// A relation was erased.
    case erase
  }

  /// The method with all its parameters; those of the other kind are absent.
  public struct Method: Sendable, Hashable, Codable {
    /// The names of the methods.
    public enum Name: String, Sendable, Hashable, Codable, CaseIterable {
      /// Slots moved by gradient: ``OptimizedUpdate``, ``OptimizedErasure``.
      case optimized
      /// As Dai et al. do it: ``PaperUpdate``, ``PaperErasure``.
      case paper
    }

    /// Its name.
    public var name: Name
    /// λ₁ of an update.
    public var lambda1: Double?
    /// λ₂ of an update.
    public var lambda2: Double?
    /// What steered an optimized edit.
    public var optimization: SlotOptimization?
    /// Whether several facts were edited one after another; nil for an edit of one.
    public var isSequential: Bool?
    /// How many neighbours each other relation gave to an erasure that tried that out; nil where all were taken, and in
    /// records of before this was kept.
    public var neighbourShares: [String: Int]?
    /// Whether an erasure was of some facts and the relation's others were to stay; nil where they were not.
    public var keepsOthers: Bool?
    /// How many neurons an erasure took at most.
    public var top: Int?
    /// What an erasure filled slots with.
    public var fill: PaperErasure.Fill?

    /// A method by name and parameters.
    public init(
      name: Name, lambda1: Double? = nil, lambda2: Double? = nil,
      optimization: SlotOptimization? = nil, isSequential: Bool? = nil, neighbourShares: [String: Int]? = nil,
      top: Int? = nil, fill: PaperErasure.Fill? = nil
    ) {
      self.name = name
      self.lambda1 = lambda1
      self.lambda2 = lambda2
      self.optimization = optimization
      self.isSequential = isSequential
      self.neighbourShares = neighbourShares
      self.top = top
      self.fill = fill
    }
  }

  /// How the neurons were located.
  public struct Location: Sendable, Hashable, Codable {
    /// The attribution rule, or `baseline`.
    public var rule: String
    /// Points on the path.
    public var steps: Int
    /// The share of prompts that refining ended with.
    public var p: Double
    /// Number of facts that were located together.
    public var facts: Int

    /// The settings that `located` was made with.
    public init(_ located: LocatedRelation) {
      (rule, steps, p, facts) = (located.rule, located.steps, located.p, located.facts.count)
    }
  }

  /// Version of the form, now 1.
  public var schema = EditRecord.currentSchema
  /// `knedit` and its version.
  public var tool: String
  /// What did the arithmetic; nil in records of before this was kept.
  public var machine: Machine?
  /// What kind of edit.
  public var kind: Kind
  /// The checkpoint that was read.
  public var source: Source
  /// The checkpoint that was written; nil in the plan of an edit.
  public var result: Source?
  /// The relations directory, as the user gave it.
  public var relations: String
  /// SHA-256 of what these hold, as `RelationCatalogue.fingerprint()` has it; nil in records of before this was kept.
  public var relationsFingerprint: String?
  /// The relation's name; of an update of facts of several, theirs with commas between them.
  public var relation: String
  /// The fact that was updated.
  public var fact: Fact?
  /// Its new answer.
  public var newAnswer: String?
  /// The method.
  public var method: Method
  /// How the neurons were located.
  public var location: Location
  /// The neurons whose value slots changed.
  public var neurons: [Neuron]
  /// The facts an erasure was made from and is judged on: index into the relation's facts.
  public var factIndices: [Int]?
  /// These facts; nil in records of before they were kept.
  public var facts: [Fact]?
  /// The prompts of the updated fact, over which figures over paraphrases are; of an erasure the relation's patterns; of an
  /// update of several facts none, see ``edits``.
  public var prompts: [String]
  /// The prompt that the edit is judged on first, one of ``prompts``.
  public var editedPrompt: String?
  /// An update of several facts: each with its new answer and prompts.
  public var edits: [FactEdit]?
  /// Patterns of the templates that the edit did not see.
  public var heldBack: [String]?
  /// How answers of several word pieces were asked for; nil for left to right.
  public var order: AnswerOrder?
  /// Seed of every random choice.
  public var seed: UInt64
  /// Figures on the source.
  public var before: [String: Double]
  /// The same figures on the result, and the rates that compare the two.
  public var after: [String: Double]
  /// What the edit had to reach to be written; nil where nothing was asked, and in records of before this was kept.
  public var limits: EditLimits?
  /// What it missed of ``limits``, in words, so that it was written only because it was told to be; nil where it holds.
  public var shortfall: String?

  /// A record of the current form with what every edit has; what only some have is yet to be set.
  public init(
    tool: String, machine: Machine?, kind: Kind, source: Source, relations: String, relation: String, method: Method,
    location: Location, neurons: [Neuron], prompts: [String], order: AnswerOrder? = nil, seed: UInt64,
    before: [String: Double], after: [String: Double]
  ) {
    self.tool = tool
    self.machine = machine
    self.kind = kind
    self.source = source
    self.relations = relations
    self.relation = relation
    self.method = method
    self.location = location
    self.neurons = neurons
    self.prompts = prompts
    self.order = order
    self.seed = seed
    self.before = before
    self.after = after
  }

  /// Reads a record, or the record in an output directory.
  ///
  /// - Throws: ``EditError``.
  public init(contentsOf url: URL) throws(EditError) {
    var isDirectory: ObjCBool = false
    let exists = FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory)
    let file = exists && isDirectory.boolValue ? url.appending(path: Self.fileName) : url
    let data: Data
    do { data = try Data(contentsOf: file) } catch { throw .unreadableRecord(path: file.path) }
    do { self = try JSONDecoder().decode(EditRecord.self, from: data) } catch {
      throw .notARecord(path: file.path)
    }
    guard schema == Self.currentSchema else { throw .notARecord(path: file.path) }
  }
}
