import ArgumentParser
import BERT
import Foundation
import Relations

struct PredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict", abstract: "Say what the model puts at [MASK].")

  @Argument(help: "Sentences with one [MASK] each.")
  var text: [String] = []

  @Option(parsing: .unconditional, help: "How many answers to show.")
  var top = 10

  @Option(help: "A file with one sentence a line, or - for standard input.")
  var file: String?

  @OptionGroup var model: ModelOptions
  @OptionGroup var printing: PrintOptions
  @OptionGroup var result: ResultFileOptions

  func validate() throws {
    guard !text.isEmpty || file != nil else {
      throw ValidationError("Give a sentence with [MASK], or a file of them with --file.")
    }
    guard top >= 1 else { throw ValidationError("--top must be at least 1.") }
  }

  private struct Document: Encodable {
    struct Answer: Encodable {
      let token: String
      let probability: Double
    }
    struct Prompt: Encodable {
      let text: String
      let predictions: [Answer]
    }
    let schema = 1
    let prompts: [Prompt]
  }

  /// The text of a file, which may be a pipe.
  private static func content(of file: String) throws -> String {
    let handle = file == "-" ? FileHandle.standardInput : FileHandle(forReadingAtPath: file)
    guard let data = try? handle?.readToEnd() ?? Data(), handle != nil,
      let text = String(data: data, encoding: .utf8)
    else { throw InputError("\(file) cannot be read, or is no UTF-8 text; --file takes one sentence a line.") }
    return text
  }

  func run() throws {
    try result.check(others: [file, model.model])
    var texts = text
    if let file {
      texts += try Self.content(of: file).split(whereSeparator: \.isNewline).map(String.init).filter {
        !$0.trimmingCharacters(in: .whitespaces).isEmpty
      }
    }
    guard !texts.isEmpty else { throw InputError("\(file ?? "") has no sentence; --file takes one a line.") }
    let opened = try model.openModel(quiet: printing.quiet)
    let prompts = try texts.map { try opened.encode($0) }
    let answers = opened.bert.predict(prompts, threads: model.threadCount) { _, prediction in
      prediction.top(top).map {
        Document.Answer(token: opened.piece($0), probability: prediction.probability(of: $0))
      }
    }
    guard answers.allSatisfy({ $0.allSatisfy(\.probability.isFinite) }) else { throw ModelError.notFinite }
    let document = Document(prompts: zip(texts, answers).map { .init(text: $0, predictions: $1) })
    if printing.format == .json {
      return try Console.deliver(String(decoding: document.json(), as: UTF8.self), to: result.output)
    }
    let blocks = document.prompts.map { prompt in
      var table = Table([], right: [0])
      for answer in prompt.predictions { table.add(Console.percent(answer.probability), answer.token) }
      return Console.bold(prompt.text, to: result.output) + "\n" + table.text
    }
    try Console.deliver(blocks.joined(separator: "\n\n"), to: result.output)
  }
}
