/// A prefix tree over the UTF-8 bytes of word pieces.
///
/// One walk finds the longest piece that starts at a place, where trying every end in turn would look up each
/// of them. Bytes are compared rather than `String`s because Swift's string equality is canonical
/// equivalence, and a vocabulary may hold both a composed and a decomposed spelling.
struct PieceTrie: Sendable {
  /// A place in the tree: the bytes read so far.
  struct Node: Sendable {
    fileprivate let index: UInt32
  }

  /// `index << 8 | byte` to the child's index.
  private var children: [UInt64: UInt32] = [:]
  /// The id of the piece that ends at each node; -1 where none does.
  private var ids: [Int32] = [-1]

  let root = Node(index: 0)

  /// Adds `piece`; a piece added twice keeps the later id, as in Python's `dict`.
  mutating func insert(_ piece: String, id: Int) {
    var node: UInt32 = 0
    for byte in piece.utf8 {
      let edge = UInt64(node) << 8 | UInt64(byte)
      if let child = children[edge] {
        node = child
      } else {
        let child = UInt32(ids.count)
        children[edge] = child
        ids.append(-1)
        node = child
      }
    }
    ids[Int(node)] = Int32(id)
  }

  private func child(of node: Node, _ byte: UInt8) -> Node? {
    children[UInt64(node.index) << 8 | UInt64(byte)].map(Node.init)
  }

  /// The place reached by reading `bytes` from the root; nil when no piece starts with them.
  func node(reading bytes: some Sequence<UInt8>) -> Node? {
    var node = root
    for byte in bytes {
      guard let next = child(of: node, byte) else { return nil }
      node = next
    }
    return node
  }

  /// The id of the piece that ends at `node`, if one does.
  func id(at node: Node) -> Int? {
    let id = ids[Int(node.index)]
    return id < 0 ? nil : Int(id)
  }

  /// The longest piece continuing from `node` at the start of `bytes`: its id and the index after its last
  /// byte.
  func longestMatch(from node: Node, in bytes: ArraySlice<UInt8>) -> (id: Int, end: Int)? {
    var node = node
    var best: (id: Int, end: Int)?
    for position in bytes.indices {
      guard let next = child(of: node, bytes[position]) else { break }
      node = next
      if let id = id(at: node) { best = (id, position + 1) }
    }
    return best
  }
}
