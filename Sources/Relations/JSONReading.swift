import Foundation

/// Reads a whole file, telling a missing one from an unreadable one.
func contents(of url: URL, expected: String) throws(RelationError) -> Data {
  do {
    return try Data(contentsOf: url)
  } catch {
    var isDirectory: ObjCBool = false
    guard FileManager.default.fileExists(atPath: url.path, isDirectory: &isDirectory) else {
      throw .missing(path: url.path, expected: expected)
    }
    throw .unreadable(
      path: url.path, reason: isDirectory.boolValue ? "it is a directory" : error.localizedDescription)
  }
}

/// Decodes one JSON value; `line` is its place in a file of one value a line.
func decode<Value: Decodable>(
  _ type: Value.Type, from data: Data, path: String, line: Int? = nil, expected: String
) throws(RelationError) -> Value {
  do {
    return try JSONDecoder().decode(type, from: data)
  } catch let error as DecodingError {
    if let fault = SyntaxFault(in: data) {
      throw .malformed(
        path: path, line: line ?? fault.line,
        reason: "it is not JSON (\(fault.reason)), where it should be \(expected)")
    }
    throw .malformed(path: path, line: line, reason: "\(explain(error)), where it should be \(expected)")
  } catch {
    throw .malformed(path: path, line: line, reason: "\(error), where it should be \(expected)")
  }
}

/// Where text stops being JSON.
///
/// `JSONDecoder` does not say on Linux, but the older parser does: with a byte offset at the end of its
/// message.
private struct SyntaxFault {
  let line: Int?
  let reason: String

  /// Nil when `data` is JSON.
  init?(in data: Data) {
    do {
      _ = try JSONSerialization.jsonObject(with: data, options: [.fragmentsAllowed])
      return nil
    } catch {
      let message = (error as NSError).userInfo["NSDebugDescription"] as? String
      let reason = (message ?? "of unknown fault").trimmingCharacters(in: CharacterSet(charactersIn: ". "))
      self.reason = reason
      let offset = reason.split(separator: " ").last.flatMap { Int($0) }
      line = offset.map { offset in 1 + data.prefix(max(0, offset)).count { $0 == UInt8(ascii: "\n") } }
    }
  }
}

private func explain(_ error: DecodingError) -> String {
  switch error {
  case .typeMismatch(_, let context), .valueNotFound(_, let context):
    return "\(place(context.codingPath)) has the wrong type"
  case .keyNotFound(let key, let context):
    return "\(place(context.codingPath)) has no \"\(key.stringValue)\""
  case .dataCorrupted(let context):
    // It is JSON, or a syntax fault would have been found: a number that the type wanted cannot hold.
    return context.codingPath.isEmpty
      ? "a number in it has the wrong type" : "\(place(context.codingPath)) \(context.debugDescription)"
  @unknown default:
    return error.localizedDescription
  }
}

private func place(_ path: [any CodingKey]) -> String {
  if path.isEmpty { return "the whole" }
  return path.map { key in key.intValue.map { "entry \($0)" } ?? key.stringValue }.joined(separator: ", ")
}
