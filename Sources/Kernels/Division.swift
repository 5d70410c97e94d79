import COneDNN

/// Values below which work on them is not worth dividing.
private let leastDividedValues = 1 << 15

/// Runs `body` on parts of `0 ..< count`, one for each thread that matrix products of this thread may use.
///
/// They are the threads of the products themselves, which wait for the next product anyway. Parts must not write what others
/// read. Within `body` a product has one thread.
/// - Parameter values: How many values each index stands for: few in all are left to this thread. nil for work that is worth
///   it always.
public func divided(_ count: Int, values: Int? = nil, _ body: (Range<Int>) -> Void) {
  let threads = min(count, Int(omp_get_max_threads()))
  guard threads > 1, values.map({ count * $0 >= leastDividedValues }) ?? true else {
    if count > 0 { body(0..<count) }
    return
  }
  withoutActuallyEscaping(body) { body in
    var division = Division(count: count, body: body)
    withUnsafeMutablePointer(to: &division) {
      // The pointer is to `division`, which outlives the call, since the call waits for all threads.
      GOMP_parallel({ $0?.assumingMemoryBound(to: Division.self).pointee.runOwnPart() }, $0, UInt32(threads), 0)
    }
  }
}

/// Work that the threads of one parallel region do together.
private struct Division {
  let count: Int
  let body: (Range<Int>) -> Void

  /// The part of the thread that asks.
  func runOwnPart() {
    let (thread, threads) = (Int(omp_get_thread_num()), Int(omp_get_num_threads()))
    omp_set_num_threads(1)
    body(count * thread / threads..<count * (thread + 1) / threads)
  }
}

/// Goes through the rows of a slice, on as many threads as products have where there are values enough.
@inline(__always)
func forEachRow(of rows: Slice, _ body: (Int) -> Void) {
  divided(rows.rows, values: rows.columns) { part in
    for row in part { body(row) }
  }
}
