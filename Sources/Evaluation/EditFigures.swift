import Checkpoint
import Editing

/// What an edit is told to have done, on the source and on the result.
protocol EditFigures: Sendable {
  /// The figures that a record keeps, by name, on the source.
  var recordedBefore: [String: Double] { get }
  /// The same on the result, with those that compare the two.
  var recordedAfter: [String: Double] { get }
  /// What is told of single prompts or relations besides, by name.
  var details: [String: [Double]] { get }
}

extension EditFigures {
  /// The first figure, by name, that is no number, as of a model whose slots have grown beyond all measure.
  var noNumber: String? {
    let single = [recordedBefore, recordedAfter].flatMap { $0.filter { !$0.value.isFinite }.map(\.key) }
    return (single + details.filter { !$0.value.allSatisfy(\.isFinite) }.map(\.key)).min()
  }

  var details: [String: [Double]] { [:] }

  /// - Throws: ``EditError/noFigures(_:)``.
  func requireNumbers() throws(EditError) {
    if let noNumber { throw .noFigures(noNumber) }
  }
}

extension [ValueSlot] {
  /// Whether all values are finite.
  var areNumbers: Bool { allSatisfy { $0.values.allSatisfy(\.isFinite) } }
}
