import COneDNN
import Foundation
import Synchronization

/// What kernels spend their time on.
public enum WorkKind: String, Sendable, CaseIterable, Codable {
  /// Matrix products.
  case products
  /// GELU and its way back.
  case gelu
  /// Softmax and its way back.
  case softmax
  /// Layer normalisation and its way back.
  case normalization
  /// Biases, residuals and sums, and turning what was computed the other way round.
  case addition
  /// To bfloat16, with the differences that are rounded.
  case rounding
}

/// Time and arithmetic of kernels, over all threads, between ``start()`` and ``stop()``.
///
/// Off, it costs one relaxed atomic load a kernel.
public enum WorkMeter {
  /// What was measured.
  public struct Work: Sendable {
    /// Seconds of each kind, added up over threads; what several do together counts once.
    public var seconds: [WorkKind: Double] = [:]
    /// Floating-point operations of matrix products, two a multiply-add.
    public var operations = 0
    /// Those of them in bfloat16.
    public var roundedOperations = 0
  }

  private static let isOn = Atomic(false)
  private static let work = Mutex(Work())

  /// Begins to measure, from nothing.
  public static func start() {
    work.withLock { $0 = Work() }
    isOn.store(true, ordering: .releasing)
  }

  /// Ends measuring.
  public static func stop() -> Work {
    isOn.store(false, ordering: .releasing)
    return work.withLock { $0 }
  }

  @inline(__always)
  static func measure(
    _ kind: WorkKind, operations: Int = 0, areRounded: Bool = false, _ body: () -> Void
  ) {
    guard isOn.load(ordering: .relaxed) else { return body() }
    let start = DispatchTime.now().uptimeNanoseconds
    body()
    let seconds = Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
    // Of work that is divided, like a product of several threads, the time of the thread that divided it.
    let isCounted = omp_get_thread_num() == 0
    work.withLock {
      if isCounted { $0.seconds[kind, default: 0] += seconds }
      $0.operations += operations
      if areRounded { $0.roundedOperations += operations }
    }
  }
}
