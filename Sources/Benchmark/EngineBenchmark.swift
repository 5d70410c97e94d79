import Attribution
import BERT
import Checkpoint
import Foundation
import Kernels

/// How fast a model's passes run on this machine, beside the speed that matrix products alone reach.
public struct EngineBenchmark: Sendable, Encodable {
  /// One kind of pass.
  public struct Pass: Sendable, Encodable {
    /// A rule's name and its points, or `forward`.
    public let name: String
    /// Prompts of one run.
    public let prompts: Int
    /// Median of seconds a prompt.
    public let seconds: Double
    /// Arithmetic of matrix products a prompt, in 10⁹ operations.
    public let gigaOperations: Double
    /// Those of ``gigaOperations`` in bfloat16, which run at up to twice the rate of float32.
    public let roundedGigaOperations: Double
    /// ``gigaOperations`` by ``seconds``.
    public let rate: Double
    /// Seconds that the products alone would take at the rate of ``productRate``, by ``seconds``: 1 is the
    /// floor, unless some are in bfloat16.
    public let shareOfFloor: Double
    /// Share of the kernels' time, by kind of work.
    public let work: [String: Double]
  }

  /// Version of this document's form.
  public let schema = 1
  /// Threads used.
  public let threads: Int
  /// Widest instructions that oneDNN uses here.
  public let instructions: String
  /// Rows of the products that ``productRate`` was measured with, on each thread.
  public let productRows: Int
  /// Float32 matrix products of one layer's shapes, both ways, in 10⁹ operations a second over all threads.
  public let productRate: Double
  /// The passes.
  public let passes: [Pass]
  /// Largest resident memory of the process so far, in bytes; nil where the system does not tell.
  public let peakMemory: Int?

  /// Measures.
  ///
  /// - Parameters:
  ///   - model: The model.
  ///   - targets: Prompts to attribute, at least one.
  ///   - rules: The rules to time; where the prompts are short and few, the adaptive one with packed weights as well.
  ///   - repeats: Runs of each, of which the median counts.
  public init(
    _ model: BERT, targets: [AttributionTarget], rules: [AttributionRule], repeats: Int, threads: ThreadCount,
    memory: Int, progress: (String) -> Void = { _ in }
  ) {
    precondition(!targets.isEmpty)
    self.threads = threads.value
    instructions = instructionSet
    productRows = Self.rows
    progress("matrix products")
    let before = Self.productRate(model.configuration, threads: threads)
    var measured: [(name: String, prompts: Int, seconds: Double, work: WorkMeter.Work)] = []
    func measure(_ name: String, _ model: BERT, _ rule: AttributionRule) {
      progress(name)
      let (seconds, work) = Self.time(repeats) {
        _ = model.attributions(targets, rule: rule, threads: threads, memory: memory)
      }
      measured.append((name, targets.count, seconds, work))
    }
    for rule in rules { measure(rule.steps > 0 ? "\(rule.name) \(rule.steps)" : rule.name, model, rule) }
    let isShort = targets.reduce(0) { $0 + $1.prompt.ids.count } <= Self.mostPackedPieces
    if isShort, model.packedWeightBytes > 0, rules.contains(.adaptive) {
      measure("adaptive, packed", model.packed(threads: threads), .adaptive)
    }
    progress("forward only")
    let many = (0..<(max(1, 256 / targets.count))).flatMap { _ in targets }.map(\.prompt)
    let (seconds, work) = Self.time(repeats) { _ = model.predict(many, threads: threads) { $1.best } }
    measured.append(("forward", many.count, seconds, work))
    // The machine's clock drifts with its load: the rate is measured before and after, and the higher one counts.
    progress("matrix products again")
    let rate = max(before, Self.productRate(model.configuration, threads: threads))
    productRate = rate
    passes = measured.map { entry in
      let operations = Double(entry.work.operations) / 1e9
      let total = entry.work.seconds.values.reduce(0, +)
      return Pass(
        name: entry.name, prompts: entry.prompts, seconds: entry.seconds / Double(entry.prompts),
        gigaOperations: operations / Double(entry.prompts),
        roundedGigaOperations: Double(entry.work.roundedOperations) / 1e9 / Double(entry.prompts),
        rate: operations / entry.seconds,
        shareOfFloor: operations / rate / entry.seconds,
        work: Dictionary(
          uniqueKeysWithValues: WorkKind.allCases.map { ($0.rawValue, (entry.work.seconds[$0] ?? 0) / total) }))
    }
    peakMemory = Self.peakMemory()
  }

  /// Median seconds of some runs, and the work of one run more, which the meter slows a little.
  private static func time(_ repeats: Int, _ body: () -> Void) -> (seconds: Double, work: WorkMeter.Work) {
    body()
    let runs = (0..<max(1, repeats)).map { _ in
      let start = ContinuousClock.now
      body()
      return Double((ContinuousClock.now - start) / .microseconds(1)) / 1e6
    }.sorted()
    WorkMeter.start()
    body()
    return (runs[runs.count / 2], WorkMeter.stop())
  }

  private static let rows = 512

  /// Word pieces of all prompts together up to which passes have so few rows that they gain by packed weights.
  private static let mostPackedPieces = 32

  /// The products of one encoder layer, forward and backward, on every thread at once.
  private static func productRate(_ configuration: BERTConfiguration, threads: ThreadCount) -> Double {
    let (hidden, wide) = (configuration.hiddenSize, configuration.intermediateSize)
    let shapes = [(hidden, 4 * hidden), (hidden, wide), (wide, hidden)]
    let operations = 2 * 2 * rows * shapes.reduce(0) { $0 + $1.0 * $1.1 }
    let rates = (0..<5).map { _ in
      let start = ContinuousClock.now
      let counts = concurrently(threads.value, threads: threads) { _ in
        let inputs = shapes.map { Matrix(rows: rows, columns: $0.0) }
        let outputs = shapes.map { Matrix(rows: rows, columns: $0.1) }
        let weights = shapes.map { Matrix(rows: $0.0, columns: $0.1) }
        let begun = ContinuousClock.now
        var count = 0
        while ContinuousClock.now - begun < .milliseconds(200) {
          for index in shapes.indices {
            multiply(inputs[index].all, weights[index].all, into: outputs[index].all)
            multiply(outputs[index].all, weights[index].all, transposingB: true, into: inputs[index].all)
          }
          count += 1
        }
        return count
      }
      let seconds = Double((ContinuousClock.now - start) / .microseconds(1)) / 1e6
      return Double(counts.reduce(0, +) * operations) / 1e9 / seconds
    }.sorted()
    return rates[rates.count / 2]
  }

  private static func peakMemory() -> Int? {
    guard let status = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8) else { return nil }
    let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
    return line?.split(separator: " ").compactMap { Int($0) }.first.map { $0 << 10 }
  }
}
