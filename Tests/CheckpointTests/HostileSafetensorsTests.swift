import Checkpoint
import FixtureFiles
import Foundation
import Testing

@Suite("Hostile safetensors headers")
struct HostileSafetensorsTests {
  /// A small file made to mislead a reader.
  struct Attack: Sendable, CustomTestStringConvertible {
    /// What was tried.
    let name: String
    /// The header's text.
    let header: String
    /// The length that the first eight bytes claim; nil for the truth.
    var claimed: UInt64?
    /// Bytes of data behind the header.
    var dataCount = 8
    /// What the refusal must say.
    let refusal: String

    var testDescription: String { name }

    var bytes: Data {
      let length = claimed ?? UInt64(header.utf8.count)
      return withUnsafeBytes(of: length.littleEndian) { Data($0) } + Data(header.utf8)
        + Data(count: dataCount)
    }
  }

  static let two = #""b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}"#
  static let attacks = [
    Attack(
      name: "a header longer than memory", header: "{}", claimed: .max,
      refusal: "claims 18446744073709551615 bytes"),
    Attack(
      name: "a header longer than the file", header: "{}", claimed: 1_000, refusal: "header is cut short"),
    Attack(
      name: "a length that overflows when eight is added", header: "{}", claimed: UInt64(Int.max),
      refusal: "claims"),
    Attack(name: "an empty header", header: "", claimed: 0, refusal: "{ is expected"),
    Attack(name: "no JSON", header: "safe", refusal: "{ is expected"),
    Attack(name: "an array for an object", header: "[]", refusal: "{ is expected"),
    Attack(name: "an object that does not end", header: "{", refusal: "is expected"),
    Attack(name: "text behind the object", header: "{}{}", refusal: "text follows its JSON object"),
    Attack(
      name: "one name twice, of which a lenient reader would show the second",
      header: "{\(two),\(two)}", refusal: "comes twice"),
    Attack(
      name: "a key twice within a tensor",
      header: #"{"a":{"dtype":"F32","shape":[2],"shape":[1],"data_offsets":[0,8]}}"#, refusal: "comes twice"),
    Attack(
      name: "data beyond the end", header: #"{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}"#,
      refusal: "lie outside the file"),
    Attack(
      name: "an end before the beginning", header: #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}"#,
      refusal: "lie outside the file"),
    Attack(
      name: "a negative offset, into the header",
      header: #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}"#,
      refusal: "whole number of at least 0"),
    Attack(
      name: "a fractional offset", header: #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0.5,8]}}"#,
      refusal: "is expected"),
    Attack(
      name: "an offset beyond 64 bits",
      header: #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,18446744073709551624]}}"#,
      refusal: "too large"),
    Attack(
      name: "one offset", header: #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[8]}}"#,
      refusal: "lacks dtype, shape or two data_offsets"),
    Attack(
      name: "fewer bytes than the shape needs",
      header: #"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#,
      refusal: "another number of bytes"),
    Attack(
      name: "a shape whose product overflows to the right size",
      header: #"{"a":{"dtype":"F32","shape":[4611686018427387905,2],"data_offsets":[0,8]}}"#,
      refusal: "impossible shape"),
    Attack(
      name: "two tensors over the same bytes",
      header: #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},\#(two)}"#, refusal: "overlap"),
    Attack(
      name: "bytes hidden between two tensors",
      header: #"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},\#(two)}"#,
      refusal: "gap"),
    Attack(
      name: "bytes hidden behind the last tensor",
      header: #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, refusal: "4 bytes follow"),
    Attack(
      name: "an integer tensor with offsets outside, which no weight refers to",
      header: #"{"a":{"dtype":"I64","shape":[9],"data_offsets":[0,72]}}"#, refusal: "lie outside the file"),
    Attack(
      name: "a type that does not exist", header: #"{"a":{"dtype":"F31","shape":[2],"data_offsets":[0,8]}}"#,
      refusal: "F31, which is not supported"),
    Attack(
      name: "an unknown key", header: #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"exec":"x"}}"#,
      refusal: "unknown key exec"),
    Attack(
      name: "metadata that is no text", header: #"{"__metadata__":{"format":{"a":1}}}"#, dataCount: 0,
      refusal: "is expected"),
    Attack(
      name: "half a surrogate pair in a name",
      header: #"{"\ud800":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
      refusal: "half of a surrogate pair"),
    Attack(
      name: "nesting deep enough to exhaust the stack of a recursive reader",
      header: #"{"a":"# + String(repeating: "[", count: 100_000), refusal: "{ is expected"),
    Attack(
      name: "a harmless header of a file that is no BERT",
      header: #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"#,
      refusal: "no tensors of a BERT model"),
  ]

  @Test("are refused for what they are", arguments: attacks)
  func refused(attack: Attack) throws {
    try FixtureFiles.withCopy(of: "safetensors") { directory in
      let url = directory.appending(path: "model.safetensors")
      try attack.bytes.write(to: url)
      let error = try Fixture.error { () throws(CheckpointError) in try Checkpoint.open(directory) }
      guard case .unreadable(let path, let reason) = error else { throw error }
      #expect(path == url.path)
      #expect(reason.contains(attack.refusal), "\(reason)")
    }
  }

  @Test("do not include escapes, spaces and padding, which are legitimate")
  func legitimate() throws {
    try FixtureFiles.withCopy(of: "safetensors") { directory in
      let url = directory.appending(path: "model.safetensors")
      let bytes = try Data(contentsOf: url)
      let length = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
      let header =
        try #require(String(data: bytes[8..<8 + length], encoding: .utf8))
        .replacing("\"bert.embeddings.word", with: "\t \"bert.emb\\u0065ddings.word").replacing(
          "[", with: "[ ") + "   \n"
      let count = UInt64(header.utf8.count)
      try (withUnsafeBytes(of: count.littleEndian) { Data($0) } + Data(header.utf8) + bytes[(8 + length)...])
        .write(to: url)
      let difference = try CheckpointDifference.between(
        Checkpoint.open(directory), Fixture.open("safetensors"))
      #expect(difference.isEqual)
      // The longer header may move the data off a multiple of four bytes, where they cannot be mapped.
      #expect(try Checkpoint.open(directory).weights().wordEmbeddings.isMapped == ((8 + count) % 4 == 0))
    }
  }
}
