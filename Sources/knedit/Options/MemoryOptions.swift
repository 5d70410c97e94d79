import ArgumentParser

/// How much memory locating may take.
struct MemoryOptions: ParsableArguments {
  @Option(
    parsing: .unconditional,
    help:
      """
      Megabytes that locating may take beside the weights and, for prompts of up to 128 pieces, their bfloat16 copy; one \
      prompt's least, some 350 for 512 pieces of a model of bert-base's size, is taken anyhow. One or two short prompts \
      run faster where it holds the weights twice, 935 at that size.
      """)
  var memory = 1024

  func validate() throws {
    guard (1...(1 << 20)).contains(memory) else {
      throw ValidationError("--memory must lie between 1 and \(1 << 20) (megabytes).")
    }
  }

  var bytes: Int { memory << 20 }
}
