import Foundation

/// Why an edit cannot be made or judged.
public enum EditError: Error, Sendable, Hashable, CustomStringConvertible, LocalizedError {
  /// There is no neuron to edit.
  case noNeurons(relation: String, subject: String?)
  /// The new answer is the old one.
  case sameAnswer(String, subject: String, relation: String)
  /// A subject is to get two answers at once in a relation, and so on the same prompts.
  case givenTwice(subject: String, relation: String)
  /// Relations that share a wording are to give a subject different answers on it.
  case contradictory(prompt: String)
  /// A value slot is no number after the edit.
  case beyondNumbers
  /// A figure is no number after the edit.
  case noFigures(String)
  /// There is nothing to edit.
  case noEdits
  /// The subject's layer is not below the upper layers that are edited too.
  case noSubjectLayer(Int, below: Int)
  /// More upper layers are to be edited than there are.
  case tooManyLayers(Int, of: Int)
  /// The model says the new answer already.
  case alreadySays(String, prompts: Int)
  /// The new answer is no word but one of the vocabulary's special pieces.
  case specialAnswer(String)
  /// The record cannot be opened.
  case unreadableRecord(path: String)
  /// The file is not a record that this version can read.
  case notARecord(path: String)
  /// The edit misses its limits.
  case doesNotHold(String)
  /// The edit that was tried misses its limits.
  case wouldNotHold(String)
  /// What would be replaced is a model that no edit wrote.
  case notAnEdit(path: String)
  /// The weights that would be replaced are not those that the record beside them tells of.
  case changedSince(path: String)
  /// There is no directory to write to.
  case noOutput
  /// The record lacks what its kind of edit needs.
  case incompleteRecord(field: String)
  /// Facts were edited one by one, and the checkpoint with them is not there.
  case needsCheckpoint(path: String?)
  /// The checkpoint changes a slot that the record does not name.
  case otherNeurons(layer: Int, index: Int)
  /// The checkpoint that an edit wrote has other sizes than its source.
  case otherSizes(path: String)
  /// The relation no longer has the facts or templates that were erased.
  case otherRelation(String)
  /// Fewer slots are to be moved than layers to be edited.
  case tooFewSlots(Int, layers: Int)
  /// A checkpoint is not the one that the record names.
  case otherCheckpoint(path: String, expected: String, found: String)

  /// One sentence for people.
  public var description: String {
    switch self {
    case .noNeurons(let relation, let subject):
      (subject.map { "No knowledge neuron of “\($0)” in \(relation) is left to edit" }
        ?? "No knowledge neuron of \(relation) was found")
        + "."
    case .sameAnswer(let answer, let subject, let relation):
      "“\(answer)” is the answer that \(relation) has for “\(subject)” already; give another."
    case .givenTwice(let subject, let relation):
      "“\(subject)” is to get two new answers in \(relation), to the same prompts; give it one."
    case .contradictory(let prompt): "Two edits ask “\(prompt)” and give it different answers; leave one of them out."
    case .beyondNumbers: "The edit drives value slots beyond all numbers; make it smaller."
    case .noFigures(let name): "The edit drives the model beyond all numbers (its \(name) is none); make it smaller."
    case .noSubjectLayer(let layer, let below):
      below > 0
        ? "Layer \(layer) cannot be the subject's: it must lie below the upper layers, so give a number from 0 to \(below - 1)."
        : "Layer \(layer) cannot be the subject's: all layers are among the upper ones."
    case .tooManyLayers(let layers, let count):
      "\(layers) upper layers cannot be edited, since the model has \(count); give a number up to that."
    case .noEdits: "There is no edit to make; name at least one fact and its new answer."
    case .alreadySays(let answer, let prompts):
      "The model says “\(answer)” on all \(prompts) prompts already, so there is nothing to update."
    case .specialAnswer(let answer):
      "“\(answer)” stands for something in the vocabulary and is no word that a model could answer; give a word."
    case .unreadableRecord(let path): "\(path) cannot be opened; give a record, or the directory that an edit wrote."
    case .notARecord(let path): "\(path) is not an edit record of schema \(EditRecord.currentSchema)."
    case .doesNotHold(let shortfall):
      "The edit does not hold: \(shortfall), so nothing was written."
    case .wouldNotHold(let shortfall): "The edit would not hold: \(shortfall)."
    case .notAnEdit(let path):
      "\(path) holds files of a model and no edit's \(EditRecord.fileName), so that no edit wrote them, and they are not "
        + "replaced; choose another directory."
    case .changedSince(let path):
      "\(path) is no longer what the edit beside it wrote, and is not replaced; choose another directory."
    case .noOutput: "There is no directory to write the edit to."
    case .incompleteRecord(let field): "The record has no \(field), without which it cannot be evaluated."
    case .needsCheckpoint(let path):
      "The checkpoint of the record\(path.map { ", \($0)," } ?? "") is not there, and facts edited one by one cannot be edited "
        + "again; put the record beside its checkpoint."
    case .otherNeurons(let layer, let index):
      "The checkpoint changes value slot \(index) of layer \(layer), which the record does not name; was the record changed?"
    case .otherSizes(let path):
      "\(path) has other sizes than the checkpoint that was edited, so that no edit wrote it; was the record changed?"
    case .otherRelation(let relation):
      "\(relation) no longer has the facts and templates that the record erased; give the relations that it was made with."
    case .tooFewSlots(let slots, let layers):
      "\(slots == 1 ? "1 slot" : "\(slots) slots") cannot be shared by the \(layers) layers that are edited; give \(layers) or more, or edit fewer layers."
    case .otherCheckpoint(let path, let expected, let found):
      "\(path) is not the checkpoint of the record: its SHA-256 begins with \(found.prefix(12)), the record's with "
        + "\(expected.prefix(12))."
    }
  }

  /// The same, for Foundation.
  public var errorDescription: String? { description }
}
