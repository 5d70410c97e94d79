import ArgumentParser
import BERT
import Checkpoint
import Evaluation
import Foundation

struct DiffCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "diff", abstract: "Compare two checkpoints of any formats.",
    discussion: "Exits with 0 when they are equal, 1 when they differ, 2 when they cannot be compared.")

  @Argument(help: "A model directory or weights file.")
  var a: String

  @Argument(help: "Another.")
  var b: String

  @Option(parsing: .unconditional, help: "How many of the nearest word pieces to name for each changed slot.")
  var top = 5

  @OptionGroup var printing: PrintOptions
  @OptionGroup var file: ResultFileOptions

  func validate() throws {
    guard top >= 1 else { throw ValidationError("--top must be at least 1.") }
  }

  /// Value slots that the table shows at most, those that changed most.
  private static let shownSlots = 200

  private struct Document: Encodable {
    struct Tensor: Encodable {
      let name: String
      let values: Int
      let largestDifference: Float?
    }
    struct Slot: Encodable {
      let layer: Int
      let index: Int
      let norm: Double
      let normBefore: Double
      let cosine: Double?
      let towards: [NearPiece]
      let awayFrom: [NearPiece]
    }
    let schema = 1
    let equal: Bool
    let configuration: [String]
    let tensors: [Tensor]
    let slots: [Slot]
    let onlyInFirst: [String]
    let onlyInSecond: [String]
  }

  func run() throws {
    let document: Document
    // A status of 1 says that the two differ, so every failure has another.
    do {
      try file.check(others: [a, b])
      document = try compare()
      let text = printing.format == .json ? String(decoding: try document.json(), as: UTF8.self) : describe(document)
      try Console.deliver(text, to: file.output)
    } catch {
      Console.note("Error: \(AdvisedError.advising(on: error))")
      throw ExitCode(2)
    }
    if !document.equal { throw ExitCode(1) }
  }

  private func compare() throws -> Document {
    let first = try Checkpoint.open(URL(filePath: a))
    let difference = try CheckpointDifference.between(first, Checkpoint.open(URL(filePath: b)))
    var slots: [Document.Slot] = []
    if !difference.slots.isEmpty {
      let model = try MaskedLanguageModel(opening: URL(filePath: a))
      let nearest = model.nearestPieces(to: difference.slots.map(\.change), count: top)
      for (slot, near) in zip(difference.slots, nearest) {
        slots.append(
          .init(
            layer: slot.layer, index: slot.index, norm: slot.norm, normBefore: slot.normBefore, cosine: slot.cosine,
            towards: near.towards, awayFrom: near.awayFrom))
      }
    }
    return Document(
      equal: difference.isEqual, configuration: difference.configurations,
      tensors: difference.tensors.map { .init(name: $0.name, values: $0.count, largestDifference: $0.largest) },
      slots: slots, onlyInFirst: difference.onlyInFirst, onlyInSecond: difference.onlyInSecond)
  }

  private func describe(_ document: Document) -> String {
    var parts: [String] = []
    if document.equal { parts.append("Equal: every tensor of the model has the same values.") }
    if !document.configuration.isEmpty {
      parts.append(
        "The models have different sizes:\n" + document.configuration.map { "  " + $0 }.joined(separator: "\n"))
    }
    if !document.tensors.isEmpty {
      var table = Table(["tensor that differs", "values", "largest difference"], right: [1, 2])
      for tensor in document.tensors {
        table.add(
          tensor.name, "\(tensor.values)", tensor.largestDifference.map { String(format: "%.4g", $0) } ?? "other shape")
      }
      parts.append(table.text)
    }
    if !document.slots.isEmpty {
      var table = Table(["value slot", "‖before‖", "‖Δ‖", "cosine", "+Δ points to", "−Δ points to"], right: [1, 2, 3])
      let shown = document.slots.sorted { $0.norm > $1.norm }.prefix(Self.shownSlots)
      for slot in document.slots.count > Self.shownSlots ? Array(shown) : document.slots {
        table.add(
          "\(slot.layer):\(slot.index)", Console.number(slot.normBefore), Console.number(slot.norm),
          slot.cosine.map(Console.number) ?? "–", slot.towards.map(\.token).joined(separator: " "),
          slot.awayFrom.map(\.token).joined(separator: " "))
      }
      let rest = document.slots.count - shown.count
      parts.append(
        table.text + (rest > 0 ? "\nand \(rest) more that changed less; --format json lists all of them" : ""))
    }
    for (label, names) in [("Only in the first", document.onlyInFirst), ("Only in the second", document.onlyInSecond)]
    where !names.isEmpty {
      parts.append("\(label) (no part of the masked language model): \(names.joined(separator: ", "))")
    }
    return parts.joined(separator: "\n\n")
  }
}
