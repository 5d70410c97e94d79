import HDF5
import Testing

@Suite("Listing a file's objects")
struct ListingTests {
  @Test("ends on a ring of links, follows no soft or external link, and sorts by path")
  func ring() throws {
    let objects = try File.open(Fixture.oddities).objects()
    #expect(objects.map(\.path) == objects.map(\.path).sorted())
    let kinds = Dictionary(uniqueKeysWithValues: objects.map { ($0.path, $0.kind) })
    #expect(kinds["links/ring"] == .group)
    #expect(kinds["links/ring/ring"] == nil)
    #expect(kinds["links/soft"] == .other)
    #expect(kinds["links/dangling"] == .other)
    #expect(kinds["links/elsewhere"] == .other)
    #expect(kinds["hostile/absurd"] == .dataset)
    // A group with two names is entered under the first, by name.
    #expect(kinds["links/again/single"] == .dataset)
    #expect(kinds["types"] == .group)
  }

  @Test("finds the datasets of a Keras checkpoint under their full names")
  func keras() throws {
    let url = Fixture.directory.appending(path: "keras/tf_model.h5")
    let paths = try File.open(url).objects().filter { $0.kind == .dataset }.map(\.path)
    #expect(paths.contains("bert/tf_bert_for_masked_lm/bert/encoder/layer_._1/output/dense/kernel:0"))
    // 5 of the embeddings, 16 in each of 2 layers, 5 of the head, and the embeddings once more.
    #expect(paths.count == 5 + 2 * 16 + 5 + 5)
  }
}
