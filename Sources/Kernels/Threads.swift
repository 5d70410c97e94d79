import COneDNN
import Foundation

#if canImport(Glibc)
  import Glibc
#endif

/// Threads to use: at least one.
///
/// More than the processor has cores are no use, and no harm.
public struct ThreadCount: Sendable, Hashable {
  /// The number of threads.
  public let value: Int

  /// All cores that the process may use.
  ///
  /// Foundation counts the machine's, of which a container or `taskset` may allow fewer.
  public static var allCores: ThreadCount { ThreadCount(Int(omp_get_num_procs())) }

  /// `value` threads; numbers below one count as one, and those above 1,024 as that.
  public init(_ value: Int) { self.value = min(max(1, value), 1024) }
}

/// Begins the process anew, once, so that threads which wait for each other in a matrix product give up their cores sooner.
///
/// By default they spin for milliseconds, which beside other programs takes whole time slices from the threads waited for: beside
/// three of them passes took 1.3 to 2.3 times as long. The library reads the setting when it is loaded, and from the environment
/// alone. Call it first of all; where the environment says how to wait already, or there is no `/proc`, it does nothing.
public func waitBrieflyInProducts() {
  guard getenv("GOMP_SPINCOUNT") == nil, getenv("OMP_WAIT_POLICY") == nil else { return }
  setenv("GOMP_SPINCOUNT", "10000", 1)
  // The arguments end in a null pointer, as the system made them; where this returns, the process goes on as it is.
  execv("/proc/self/exe", CommandLine.unsafeArgv)
}

/// Runs `body`, whose matrix products on this thread use `threads` threads meanwhile.
public func withProductThreads<Result>(_ threads: ThreadCount, _ body: () -> Result) -> Result {
  let before = omp_get_max_threads()
  omp_set_num_threads(Int32(clamping: threads.value))
  defer { omp_set_num_threads(before) }
  return body()
}

/// Runs `body` for each index below `count` on up to `threads` threads and returns the results in order.
///
/// Calls share the threads evenly for their matrix products: independent streams of one thread each lose nothing against
/// products on all cores, and a single call has them all. Which thread runs which index has no influence on the results.
/// - Parameter atOnce: Calls that may run at a time; one at least.
public func concurrently<Result: Sendable>(
  _ count: Int, threads: ThreadCount, atOnce: Int = .max, _ body: @Sendable (Int) -> Result
) -> [Result] {
  let workers = max(1, min(threads.value, atOnce, count))
  let own = ThreadCount(threads.value / workers)
  if workers == 1 { return withProductThreads(own) { (0..<count).map(body) } }
  let slots = ResultSlots<Result>(count)
  DispatchQueue.concurrentPerform(iterations: workers) { _ in
    withProductThreads(own) {
      while let index = slots.next() { slots.put(body(index), at: index) }
    }
  }
  return slots.results
}

/// Hands out indices and collects results; the lock guards both.
private final class ResultSlots<Result: Sendable>: @unchecked Sendable {
  private let lock = NSLock()
  private var upcoming = 0
  private var stored: [Result?]

  init(_ count: Int) { stored = Array(repeating: nil, count: count) }

  func next() -> Int? {
    lock.withLock {
      guard upcoming < stored.count else { return nil }
      defer { upcoming += 1 }
      return upcoming
    }
  }

  func put(_ result: Result, at index: Int) { lock.withLock { stored[index] = result } }

  var results: [Result] { stored.compactMap { $0 } }
}

/// The widest instructions that oneDNN uses on this CPU, which it finds out at run time.
public var instructionSet: String {
  let isa = dnnl_get_effective_cpu_isa()
  let names: [(dnnl_cpu_isa_t, String)] = [
    (dnnl_cpu_isa_avx512_core_amx, "AVX-512 with AMX"), (dnnl_cpu_isa_avx512_core_bf16, "AVX-512 with bfloat16"),
    (dnnl_cpu_isa_avx512_core_vnni, "AVX-512 with VNNI"), (dnnl_cpu_isa_avx512_core, "AVX-512"),
    (dnnl_cpu_isa_avx2, "AVX2"), (dnnl_cpu_isa_avx, "AVX"), (dnnl_cpu_isa_sse41, "SSE4.1"),
  ]
  return names.first { isa.rawValue & $0.0.rawValue == $0.0.rawValue }?.1 ?? "none in particular"
}
