import BERT
import Checkpoint
import Editing
import Neurons
import Relations

/// An error as the command line says it: the library's sentence, and where options can help, which.
struct AdvisedError: Error, CustomStringConvertible {
  let description: String

  /// `error` with the advice there is, or as it is.
  static func advising(on error: any Error) -> any Error {
    advice(on: error).map { AdvisedError(description: "\(error)".dropLast() + "; " + $0 + ".") } ?? error
  }

  private static func advice(on error: any Error) -> String? {
    switch error {
    case CheckpointError.outputExists: "pass --force to replace what knedit writes there, or choose another --output"
    case RelationError.severalAnswers: "name it with --from, or with \"from\" in the file of --edits"
    case ModelError.notOnePiece: "--method optimized takes any"
    case LocationError.unreadable, LocationError.notLocated:
      "write one with knedit locate … --format json -o FILE"
    case EditError.noNeurons: "locate with another --rule, or give other neurons with --neurons"
    case EditError.noSubjectLayer(_, below: 0): "give fewer of these with --layers"
    case EditError.doesNotHold: "--force writes it all the same"
    case EditError.beyondNumbers, EditError.noFigures:
      "a smaller --learning-rate does that, or with --method paper smaller --lambda1 and --lambda2"
    case EditError.otherRelation: "say with --relations where they are"
    case EditError.tooFewSlots: "--subject-layers none leaves the subject's out"
    case EditError.noOutput: "name one with --output, or only look with --dry-run"
    default: nil
    }
  }
}

/// Input that a command cannot use, in a sentence that says what to give in its place.
struct InputError: Error, CustomStringConvertible {
  let description: String

  init(_ sentence: String) { description = sentence }
}
