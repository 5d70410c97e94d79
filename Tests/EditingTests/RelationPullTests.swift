import BERT
import FixtureFiles
import Foundation
import Testing

@testable import Editing

@Suite("Pulling up the answers of another relation")
struct RelationPullTests {
  private let goals: [OutputGoal]

  init() throws {
    let model = try MaskedLanguageModel(opening: FixtureFiles.directory.appending(path: "keras"))
    let prompt = try model.encode("[MASK]")
    goals = [nil, 0, 2, 2].map { OutputGoal(prompt: prompt, wanted: .keeping(3), weight: 1, relation: $0) }
  }

  @Test("grows by what they have fallen on the mean of a step, each relation's by its own")
  func grows() {
    var pull = RelationPull(rate: 0.5)
    pull.note([-9, -1, -0.25, -0.75], of: goals)
    #expect(pull.pulls == [0.5, 0, 0.25])
    // What has no change, or is of no relation, counts for nothing.
    pull.note([nil, nil, nil, -1], of: goals)
    #expect(pull.pulls == [0.5, 0, 0.75])
  }

  @Test("shrinks where they have risen, and is never negative")
  func shrinks() {
    var pull = RelationPull(rate: 0.5)
    pull.note([0, -1, -0.5, -0.5], of: goals)
    pull.note([0, 0.5, 4, 4], of: goals)
    #expect(pull.pulls == [0.25, 0, 0])
  }

  @Test("is none at a rate of 0")
  func none() {
    var pull = RelationPull(rate: 0)
    pull.note([-9, -1, -1, -1], of: goals)
    #expect(pull.pulls.isEmpty)
  }
}
