import ArgumentParser

/// How results are printed.
enum ResultFormat: String, ExpressibleByArgument, CaseIterable {
  case text, json
}

/// How results are printed and how much is said meanwhile.
struct PrintOptions: ParsableArguments {
  @Option(help: "text for people, json for programs.")
  var format: ResultFormat = .text

  @Flag(help: "No progress and no notes on standard error.")
  var quiet = false
}
