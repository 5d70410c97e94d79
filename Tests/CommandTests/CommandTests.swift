import FixtureFiles
import Foundation
import HDF5
import Testing

@Suite("Commands")
struct CommandTests {
  private static let subcommands = [
    "inspect", "predict", "locate", "update", "erase", "diff", "evaluate", "perplexity", "bench",
  ]

  @Test(
    "help is printed where it is asked for, and where nothing is",
    arguments: [[], ["--help"], ["help"]] + subcommands.flatMap { [[$0, "--help"], ["help", $0]] })
  func help(_ arguments: [String]) throws {
    let run = try Command(arguments)
    #expect(run.status == 0 && run.errors.isEmpty)
    #expect(run.output.contains("OVERVIEW: ") && run.output.contains("USAGE: knedit"))
  }

  @Test("predict prints the documented document")
  func predict() throws {
    let run = try Command(
      "predict", "the capital of orvia is [MASK] .", "--model", Command.model, "--top", "3", "--format", "json")
    #expect(run.status == 0 && run.errors.isEmpty)
    let document = try run.json()
    #expect(document["schema"] as? Int == 1)
    let prompt = try #require((document["prompts"] as? [[String: Any]])?.first)
    #expect(prompt["text"] as? String == "the capital of orvia is [MASK] .")
    let predictions = try #require(prompt["predictions"] as? [[String: Any]])
    #expect(predictions.count == 3)
    #expect(predictions.allSatisfy { $0["token"] is String && ($0["probability"] as? Double ?? 2) <= 1 })
  }

  @Test("predict reads a file of sentences, and text output carries no colour into a file")
  func predictFile() throws {
    try FixtureFiles.withDirectory { directory in
      let file = directory.appending(path: "lines.txt")
      try "the capital of orvia is [MASK] .\n\na swan is [MASK] .\n".write(to: file, atomically: true, encoding: .utf8)
      let run = try Command("predict", "--file", file.path, "--model", Command.model)
      #expect(run.status == 0)
      #expect(run.output.contains("swan") && run.output.contains(" %") && !run.output.contains("\u{1b}"))
    }
  }

  @Test("predict reads sentences from a pipe", arguments: ["-", "/dev/stdin"])
  func predictPipe(_ file: String) throws {
    let sentence = "the capital of orvia is [MASK] ."
    let run = try Command(["predict", "--file", file, "--model", Command.model], input: sentence + "\n")
    #expect(run.status == 0 && run.errors.isEmpty)
    #expect(try run.output == Command("predict", sentence, "--model", Command.model).output)
  }

  @Test("locate prints the documented document, and writes scores when asked to")
  func locate() throws {
    try FixtureFiles.withDirectory { directory in
      let scores = directory.appending(path: "scores.h5")
      let run = try Command(
        [
          "locate", "--relation", "R1", "--limit", "2", "--steps", "5", "--format", "json", "--attributions",
          scores.path,
        ]
          + Command.fixture)
      #expect(run.status == 0 && run.errors.isEmpty)
      let relation = try #require((try run.json()["relations"] as? [[String: Any]])?.first)
      #expect(relation["relation"] as? String == "R1" && relation["rule"] as? String == "riemann")
      #expect(relation["steps"] as? Int == 5 && relation["p"] is Double && relation["meanSize"] is Double)
      let facts = try #require(relation["facts"] as? [[String: Any]])
      #expect(facts.map { $0["subject"] as? String } == ["orvia", "tamel"])
      let written = try HDF5.File.open(scores)
      #expect(
        try written.stringAttribute("rule", of: "/") == "riemann" && written.stringAttribute("steps", of: "/") == "5")
    }
  }

  @Test("locate is adaptive by itself, and the paper's sum when only its steps are given")
  func defaultRule() throws {
    for (options, rule, steps) in [
      ([], "adaptive", 0), (["--steps", "3"], "riemann", 3), (["--rule", "gauss-legendre"], "gauss-legendre", 20),
    ] {
      let run = try Command(["locate", "--relation", "R1", "--format", "json"] + options + Command.fixture)
      let relation = try #require((try run.json()["relations"] as? [[String: Any]])?.first)
      #expect(relation["rule"] as? String == rule && relation["steps"] as? Int == steps)
    }
  }

  @Test("update, diff and evaluate follow each other, and erase after them")
  func edits() throws {
    try FixtureFiles.withDirectory { directory in
      let output = directory.appending(path: "out").path
      let neurons = directory.appending(path: "neurons.json").path
      #expect(
        try Command(["locate", "--relation", "R1", "--format", "json", "-o", neurons] + Command.fixture).status == 0)
      let update = try Command(
        [
          "update", "--relation", "capital", "--subject", "orvia", "--to", "Corin", "-o", output, "--format", "json",
          "--neurons", neurons, "--method", "paper", "--min-success", "0", "--min-kept", "0",
        ] + Command.fixture)
      #expect(update.status == 0 && update.errors.isEmpty)
      #expect(try update.json()["newAnswer"] as? String == "Corin")

      let diff = try Command("diff", Command.model, output, "--format", "json")
      #expect(diff.status == 1 && diff.errors.isEmpty)
      let slots = try #require(try diff.json()["slots"] as? [[String: Any]])
      #expect(slots.count == (try update.json()["neurons"] as? [Any])?.count)
      #expect(slots.allSatisfy { ($0["towards"] as? [Any])?.count == 5 && ($0["norm"] as? Double ?? 0) > 0 })
      #expect(try Command("diff", Command.model, Command.model).status == 0)
      #expect(
        try Command("diff", Command.model, FixtureFiles.directory.appending(path: "safetensors").path).status == 0)
      #expect(try Command("diff", Command.model, output + "-none").status == 2)

      let evaluate = try Command(
        ["evaluate", output, "--format", "json"] + Command.fixture)
      #expect(evaluate.status == 0)
      let figures = try evaluate.json()
      for name in [
        "changeRate", "successRate", "paraphraseSuccessRate", "intraPerplexityBefore", "intraPerplexityAfter",
        "interPerplexityBefore", "interPerplexityAfter",
      ] { #expect((figures[name] as? Double)?.isFinite == true, "\(name)") }
      #expect(figures["control"] is [String: Any])

      let erased = try Command(
        [
          "erase", "--relation", "R2", "--method", "paper", "--top", "2", "--fill", "unk", "-o", output + "2",
          "--format", "json", "--min-success", "0", "--min-kept", "0",
        ]
          + Command.fixture)
      #expect(erased.status == 0)
      #expect(try (erased.json()["neurons"] as? [Any])?.count == 2)
    }
  }

  @Test("an update that does not hold is shown, is not written and exits with 1; --force writes it, --dry-run never")
  func limits() throws {
    try FixtureFiles.withDirectory { directory in
      let output = directory.appending(path: "out").path
      let update =
        [
          "update", "--relation", "R1", "--subject", "orvia", "--to", "Corin", "--method", "paper", "--lambda1", "0",
          "--lambda2", "0", "-o", output,
        ] + Command.fixture
      let refused = try Command(update)
      #expect(refused.status == 1 && refused.output.contains("comes first on 0 of 4"))
      #expect(refused.errors.contains("does not hold") && refused.errors.contains("--force"))
      #expect(!FileManager.default.fileExists(atPath: output))
      let document = try Command(update + ["--format", "json"])
      let shortfall = try document.json()["shortfall"] as? String
      #expect(document.status == 1 && shortfall?.contains("comes first on 0 %") == true)
      #expect(try document.json()["result"] == nil && !FileManager.default.fileExists(atPath: output))
      let tried = try Command(update + ["--dry-run", "--min-success", "0"])
      #expect(tried.status == 0 && tried.output.contains("succeeded, all prompts"))
      #expect(!FileManager.default.fileExists(atPath: output))
      let forced = try Command(update + ["--force"])
      #expect(forced.status == 0)
      let data = try Data(contentsOf: URL(filePath: output + "/edit.json"))
      let record = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
      #expect(record["shortfall"] as? String == shortfall, "an auditor sees that it was forced")
      #expect(record["limits"] as? [String: Double] == ["success": 1, "kept": 0.9])
    }
  }

  @Test("a list of edits is carried out together, and evaluated")
  func editList() throws {
    try FixtureFiles.withDirectory { directory in
      let list = directory.appending(path: "edits.json")
      try
        #"[{"relation": "R1", "subject": "orvia", "to": "Corin"}, {"relation": "R2", "subject": "crow", "to": "red"}]"#
        .write(to: list, atomically: true, encoding: .utf8)
      let output = directory.appending(path: "out").path
      let run = try Command(
        ["update", "--edits", list.path, "-o", output, "--force", "--format", "json", "--iterations", "5"]
          + Command.fixture)
      #expect(run.status == 0, "\(run.errors)")
      #expect((try run.json()["edits"] as? [Any])?.count == 2)
      let evaluate = try Command(["evaluate", output, "--format", "json"] + Command.fixture)
      #expect((try evaluate.json()["holding"] as? Double)?.isFinite == true)
      for (text, hint) in [
        (#"[{"relation": "R1", "subject": "orvia", "to": "Corin", "form": "Aster"}]"#, "form"),
        (
          #"[{"relation": "R1", "subject": "orvia", "to": "Corin"}, {"relation": "R1", "subject": "orvia", "to": "Dovar"}]"#,
          "two new answers"
        ),
      ] {
        try text.write(to: list, atomically: true, encoding: .utf8)
        let refused = try Command(["update", "--edits", list.path, "-o", output + "2"] + Command.fixture)
        #expect(refused.failedPlainly && refused.errors.contains(hint), "\(refused.errors)")
      }
      try "[]".write(to: list, atomically: true, encoding: .utf8)
      #expect(try Command(["update", "--edits", list.path, "-o", output + "2"] + Command.fixture).failedPlainly)
    }
  }

  @Test("inspect names every tensor with its shape")
  func inspect() throws {
    let run = try Command("inspect", Command.model, "--format", "json")
    let tensors = try #require(try run.json()["tensors"] as? [[String: Any]])
    #expect(tensors.contains { $0["shape"] as? [Int] == [32, 16] })
    #expect(try Command("inspect", Command.model).output.contains("2 layers, hidden 16"))
  }

  @Test(
    "bad usage exits with 64",
    arguments: [
      ["predict"], ["locate"], ["frobnicate"], ["predict", "[MASK]", "--top", "0"],
      ["predict", "[MASK]", "--tops", "3"],
      ["locate", "--relation", "R1", "--rule", "simpson"], ["locate", "--relation", "R1", "--steps", "0"],
      ["locate", "--relation", "R1", "--rule", "adaptive", "--steps", "3"],
      ["bench", "--rule", "simpson:3"], ["bench", "--rule", "riemann:9000000000000000000"],
      ["bench", "--memory", "8796093022208"], ["diff", "a", "b", "--top=-1"],
      ["update", "--relation", "R1", "--subject", "orvia", "--to", "Corin", "-o", "x", "--confidence", "1"],
      ["update", "--relation", "R1", "--subject", "orvia", "--to", "Corin"],
      ["update", "--relation", "R1", "--subject", "orvia", "--to", "Corin", "-o", "x", "--method", "magic"],
      ["update", "--relation", "R1", "-o", "x"], ["update", "--edits", "a", "--to", "Corin", "-o", "x"],
      ["update", "--edits", "a", "-o", "x", "--method", "paper"],
      ["update", "--relation", "R1", "--subject", "orvia", "--to", "Corin", "-o", "x", "--one-by-one"],
      ["update", "--relation", "R1", "--subject", "orvia", "--to", "Corin", "-o", "x", "--subject-layers", "2,"],
      ["erase", "--relation", "R1", "-o", "x", "--subject-neighbours", "3"],
      ["erase", "--relation", "R1", "-o", "x", "--fill", "ones"],
      ["erase", "--relation", "R1", "--relation", "R2", "-o", "x"],
      ["diff", "a"],
    ])
  func usage(arguments: [String]) throws {
    let run = try Command(arguments)
    #expect(run.status == 64)
    #expect(run.output.isEmpty && run.errors.contains("Usage:"))
  }

  @Test(
    "an option that would have no effect is refused and named, also one that is given twice",
    arguments: [
      ("--follow", ["update", "--method", "paper", "--follow", "all"]),
      ("--lambda2", ["update", "--lambda2", "3"]), ("--subject", ["update", "--subject", "tamel"]),
      ("--limit", ["update", "--limit", "3"]),
      ("--rule", ["update", "--neurons", "n.json", "--rule", "riemann"]),
      ("--baseline", ["update", "--neurons", "n.json", "--baseline"]),
      ("--layers", ["update", "--neurons", "n.json", "--layers", "1"]),
      ("--heeded", ["update", "--form", "free", "--heeded", "9"]),
      ("--subject-layers", ["update", "--neurons", "n.json", "--subject-layers", "none"]),
      ("--slots", ["erase", "--method", "paper", "--slots", "3"]), ("--top", ["erase", "--top", "3"]),
      ("--confidence", ["erase", "--confidence", "0.5"]), ("--steps", ["locate", "--baseline", "--steps", "3"]),
    ])
  func withoutEffect(option: String, arguments: [String]) throws {
    let edit = arguments[0] == "locate" ? [] : ["--dry-run"]
    let fact = arguments[0] == "update" ? ["--subject", "orvia", "--to", "Corin"] : []
    let run = try Command(arguments + ["--relation", "R1"] + edit + fact)
    #expect(run.status == 64)
    #expect(run.output.isEmpty && run.errors.contains(option))
  }

  @Test(
    "bad input exits with 1, one sentence on standard error and nothing on standard output",
    arguments: [
      (["predict", "no mask"], "has no [MASK]"), (["predict", "[MASK] [MASK]"], "has 2 [MASK]s"),
      (["predict", "--file", "nowhere.txt"], "nowhere.txt"), (["predict", "--file", "/dev/null"], "no sentence"),
      (
        ["update", "--relation", "R1", "--subject", "orvia", "--to", "Corin", "-o", "never", "--hold-out", "4"],
        "3 at most"
      ),
      (["erase", "--relation", "R1", "-o", "never", "--hold-out", "4"], "3 at most"),
      (
        ["update", "--relation", "R1", "--subject", "orvia", "--to", "Corin", "-o", "never", "--slots", "1"],
        "cannot be shared"
      ),
      (["locate", "--relation", "R3"], "R3"), (["locate", "--relation", "R1", "--subject", "orvja"], "orvia"),
      (["locate", "--relation", "R1", "--facts", "nowhere.json"], "nowhere.json"),
      (["locate", "--relation", "R1", "-o", "nowhere/n.json"], "nowhere/n.json"),
      (["predict", "[MASK]", "-o", "/"], "is a directory"),
      (
        ["update", "--relation", "R1", "--subject", "orvia", "--to", "Asterbord", "--method", "paper", "-o", "never"],
        "not one word piece"
      ),
      (["update", "--relation", "R1", "--subject", "orvia", "--to", "½", "-o", "never"], "cannot be spelled"),
      (["update", "--relation", "R1", "--subject", "orvia", "--to", "Aster ", "-o", "never"], "already"),
      (["update", "--edits", "nowhere.json", "-o", "never"], "nowhere.json"),
      (["update", "--relation", "R1", "--subject", "orvia", "--to", "Aster", "-o", "never"], "already"),
      (
        ["update", "--relation", "R1", "--subject", "orvia", "--to", "Corin", "--from", "Dovar", "-o", "never"], "Aster"
      ),
      (["update", "--relation", "R1", "--subject", "orvia", "--to", "Corin", "--prompt", "[X]", "-o", "never"], "[Y]"),
      (
        ["update", "--relation", "R1", "--subject", "orvia", "--to", "Corin", "--neurons", "none", "-o", "never"],
        "none"
      ),
      (["update", "--relation", "R1", "--subject", "orvia", "--to", "Corin", "-o", "/dev/null/x"], "/dev/null/x"),
      (["erase", "--relation", "R1", "--neurons", "nowhere.json", "-o", "never"], "nowhere.json"),
      (
        [
          "update", "--relation", "R1", "--subject", "orvia", "--to", "Corin", "--method", "paper", "--lambda2",
          "1e300",
          "--force", "-o", "never",
        ], "beyond all numbers"
      ),
    ])
  func badInput(arguments: [String], hint: String) throws {
    let options = arguments[0] == "predict" ? ["--model", Command.model, "--quiet"] : Command.fixture
    let run = try Command(arguments + options)
    #expect(run.failedPlainly, "\(run.status) \(run.output) \(run.errors)")
    #expect(run.errors.contains(hint), "\(run.errors)")
    #expect(!FileManager.default.fileExists(atPath: "never"))
  }

  @Test("results never take the place of a model's file, and scores that are not complete never that of others")
  func resultsBesideModels() throws {
    try FixtureFiles.withCopy(of: "keras") { model in
      let before = try FileManager.default.contentsOfDirectory(atPath: model.path).sorted()
      let options = ["--model", model.path, "--relations", Command.relations, "--quiet"]
      for arguments in [
        ["locate", "--relation", "R1", "--attributions", model.path + "/tf_model.h5"],
        ["locate", "--relation", "R1", "-o", model.path + "/config.json"],
        ["predict", "[MASK]", "-o", model.path + "/tf_model.h5"],
      ] {
        let run = try Command(arguments + (arguments[0] == "predict" ? Array(options.prefix(2)) : options))
        #expect(run.failedPlainly && run.errors.contains("may be part of the model"), "\(run.errors)")
      }
      let scores = model.deletingLastPathComponent().appending(path: "scores.h5")
      try Data("earlier".utf8).write(to: scores)
      let run = try Command(
        [
          "locate", "--relation", "R1", "--relation", "R1", "--steps", "2", "--attributions", scores.path, "-o",
          "/dev/null/x",
        ]
          + options)
      #expect(run.status == 1, "the results cannot be written, but the scores are complete")
      #expect(try Data(contentsOf: scores).count > 7)
      #expect(try FileManager.default.contentsOfDirectory(atPath: model.path).sorted() == before)
      #expect(
        try Data(contentsOf: model.appending(path: "tf_model.h5"))
          == Data(contentsOf: FixtureFiles.directory.appending(path: "keras/tf_model.h5")))
    }
  }

  @Test("results go through a pipe or a link, and take the place of neither")
  func resultsToOthers() throws {
    try FixtureFiles.withDirectory { directory in
      let (file, link) = (directory.appending(path: "file"), directory.appending(path: "link"))
      try Data("earlier".utf8).write(to: file)
      try FileManager.default.createSymbolicLink(at: link, withDestinationURL: file)
      #expect(try Command("predict", "[MASK]", "--model", Command.model, "-o", link.path).status == 0)
      #expect(try String(contentsOf: file, encoding: .utf8).contains("%"))
      #expect((try? FileManager.default.destinationOfSymbolicLink(atPath: link.path)) != nil)
    }
    let run = try Command("predict", "[MASK]", "--model", Command.model, "-o", "/dev/stdout")
    #expect(run.status == 0 && run.output.contains("%"))
  }

  @Test("where results cannot be written, that is said, and diff does not say that two files differ")
  func fullOutput() throws {
    let full = try FileHandle(forWritingTo: URL(filePath: "/dev/full"))
    let predict = try Command(["predict", "[MASK]", "--model", Command.model], output: full)
    #expect(predict.status == 1 && predict.errors.contains("Standard output cannot be written"))
    #expect(try Command("diff", Command.model, Command.model, "-o", "/dev/null/x").status == 2)
  }

  @Test("numbers below what an option takes are refused by its own sentence", arguments: ["--top", "--top="])
  func negative(option: String) throws {
    let run = try Command(["predict", "[MASK]"] + (option.hasSuffix("=") ? [option + "-5"] : [option, "-5"]))
    #expect(run.status == 64 && run.errors.contains("--top must be at least 1"))
    let repeats = try Command("bench", "--repeats", "1000000000000")
    #expect(repeats.status == 64 && repeats.errors.contains("--repeats must lie between"))
    let update = try Command(
      [
        "update", "--relation", "R1", "--subject", "orvia", "--to", "Corin", "--method", "paper", "--lambda1", "-1",
        "--dry-run", "--force",
      ] + Command.fixture)
    #expect(update.status == 0 && update.errors.isEmpty)
  }

  @Test("an edit is written though nobody reads its report to the end")
  func closedPipe() throws {
    try FixtureFiles.withDirectory { directory in
      let output = directory.appending(path: "out").path
      let pipe = Pipe()
      try pipe.fileHandleForReading.close()
      let run = try Command(
        [
          "update", "--relation", "R1", "--subject", "orvia", "--to", "Corin", "--method", "paper", "--force", "-o",
          output,
        ] + Command.fixture, output: pipe.fileHandleForWriting)
      #expect(run.status == SIGPIPE, "\(run.status) \(run.errors)")
      #expect(FileManager.default.fileExists(atPath: output + "/tf_model.h5"))
    }
  }

  @Test("bench without prompts, and more threads than can be, are no crash")
  func extremes() throws {
    try FixtureFiles.withCopy(of: "relations") { relations in
      try Data("{}".utf8).write(to: relations.appending(path: "facts.json"))
      for file in try FileManager.default.contentsOfDirectory(atPath: relations.path + "/patterns") {
        try FileManager.default.removeItem(atPath: relations.path + "/patterns/" + file)
      }
      let run = try Command("bench", "--model", Command.model, "--relations", relations.path, "--quiet")
      #expect([1, 64].contains(run.status) && run.output.isEmpty, "\(run.status) \(run.errors)")
    }
    let run = try Command("predict", "[MASK]", "--model", Command.model, "--threads", "9000000000000000000")
    #expect(run.status == 0)
  }

  @Test("evaluate takes the relations of the record, and no others unless told to")
  func missingRelations() throws {
    try FixtureFiles.withDirectory { directory in
      let (relations, output) = (directory.appending(path: "relations"), directory.appending(path: "out").path)
      try FileManager.default.copyItem(atPath: Command.relations, toPath: relations.path)
      let edit = try Command(
        "update", "--relation", "R1", "--subject", "orvia", "--to", "Corin", "--method", "paper", "--force", "-o",
        output,
        "--model", Command.model, "--relations", relations.path, "--quiet")
      #expect(edit.status == 0, "\(edit.errors)")
      try FileManager.default.removeItem(at: relations)
      let run = try Command("evaluate", output)
      #expect(run.failedPlainly && run.errors.contains("--relations"), "\(run.errors)")
      let moved = try Command("evaluate", output, "--relations", Command.relations)
      #expect(moved.status == 0 && !moved.errors.contains("have changed"))
      try FileManager.default.copyItem(atPath: Command.relations, toPath: relations.path)
      try Data(#"{"pattern": "[X] of [Y]"}"#.utf8).write(to: relations.appending(path: "patterns/R2.jsonl"))
      let changed = try Command("evaluate", output)
      #expect(changed.status == 0 && changed.errors.contains("have changed"))
    }
  }

  @Test("a checkpoint that cannot be used is one sentence, too")
  func badCheckpoints() throws {
    for path in ["nowhere", "/dev/null", FixtureFiles.directory.appending(path: "golden.json").path] {
      let run = try Command("predict", "[MASK]", "--model", path)
      #expect(run.failedPlainly, "\(run.errors)")
    }
    try FixtureFiles.withCopy(of: "keras") { directory in
      let file = directory.appending(path: "tf_model.h5")
      try Data(contentsOf: file).prefix(5000).write(to: file)
      let run = try Command("predict", "[MASK]", "--model", directory.path)
      #expect(run.failedPlainly, "\(run.errors)")
    }
  }

  @Test("perplexity prints the documented document, of one model and of two")
  func perplexity() throws {
    for edited in [[], ["--edited", Command.model]] {
      let run = try Command(["perplexity", "--limit", "2", "--format", "json", "--quiet"] + edited + Command.fixture)
      #expect(run.status == 0 && run.errors.isEmpty)
      let document = try run.json()
      #expect(document["schema"] as? Int == 1)
      let relations = try #require(document["relations"] as? [[String: Any]])
      #expect(relations.map { $0["relation"] as? String } == ["R1", "R2"])
      for relation in relations {
        #expect(relation["facts"] as? Int == 2 && relation["prompts"] is Int && relation["answerCount"] is Int)
        #expect(
          (relation["after"] != nil) == !edited.isEmpty && (relation["rise"] as? Double) == (edited.isEmpty ? nil : 0))
        let figures = try #require(relation["before"] as? [String: Any])
        #expect(["perplexity", "accuracy", "rank", "together"].allSatisfy { figures[$0] is Double })
        let said = try #require((figures["said"] as? [[String: Any]])?.first)
        #expect(said["answer"] is String && said["share"] is Double)
      }
    }
  }

  @Test("perplexity leaves out a fact that the model cannot be asked for, and says so")
  func perplexityLeavesOut() throws {
    try FixtureFiles.withDirectory { directory in
      let relations = directory.appending(path: "relations")
      try FileManager.default.copyItem(at: URL(filePath: Command.relations), to: relations)
      let file = relations.appending(path: "facts.json")
      var facts = try #require(
        try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: [[String]]])
      let answer = try #require(facts["R1"]?.first?.last)
      facts["R1", default: []].append([String(repeating: "orvia ", count: 600), answer])
      try JSONSerialization.data(withJSONObject: facts).write(to: file)
      let asked = ["--relation", "R1", "--model", Command.model]
      let run = try Command(["perplexity", "--relations", relations.path] + asked)
      #expect(run.status == 0 && run.errors.contains("1 fact is left out"))
      #expect(try run.output == Command(["perplexity", "--relations", Command.relations] + asked).output)
    }
  }

  @Test("perplexity shows what rose most first")
  func perplexityOrder() throws {
    try FixtureFiles.withDirectory { directory in
      let output = directory.appending(path: "out")
      let erasing = try Command(
        [
          "erase", "--relation", "R2", "--method", "paper", "--rule", "riemann", "--steps", "2", "--force", "-o",
          output.path,
        ]
          + Command.fixture)
      #expect(erasing.status == 0)
      let asked = ["--edited", output.path] + Command.fixture
      let rises = try #require(
        try Command(["perplexity", "--format", "json"] + asked).json()["relations"] as? [[String: Any]])
      let order = rises.sorted { ($0["rise"] as? Double ?? 0) > ($1["rise"] as? Double ?? 0) }
      let lines = try Command(["perplexity"] + asked).output.split(separator: "\n").dropFirst()
      #expect(lines.map { String($0.prefix(2)) } == order.map { $0["relation"] as? String })
      // The record tells what it was made from; without one somebody has to.
      let recorded = try Command("perplexity", "--edited", output.path, "--format", "json")
      #expect(
        try Command("perplexity", "--edited", output.path + "/edit.json", "--format", "json").output == recorded.output)
      let found = try recorded.json()["relations"] as? [[String: Any]]
      #expect(recorded.status == 0 && found?.count == rises.count)
      let nothing = try Command("perplexity", "--edited", Command.model)
      #expect(nothing.status == 1 && nothing.errors.contains("--model"))
      // Weights that have taken the place of those that the edit wrote are not passed off as its own.
      let weights = output.appending(path: "tf_model.h5")
      try FileManager.default.removeItem(at: weights)
      try FileManager.default.copyItem(at: URL(filePath: Command.model).appending(path: "tf_model.h5"), to: weights)
      let other = try Command("perplexity", "--edited", output.path)
      #expect(other.failedPlainly && other.errors.contains("is not the checkpoint of the record"))
      #expect(try Command(["perplexity"] + asked).status == 0, "what is named is meant")
    }
  }

  @Test("bench prints the documented document")
  func bench() throws {
    let run = try Command(
      ["bench", "--repeats", "1", "--rule", "gauss-legendre:2", "--rule", "adaptive", "--format", "json"]
        + Command.fixture)
    #expect(run.status == 0 && run.errors.isEmpty)
    let document = try run.json()
    #expect((document["productRate"] as? Double ?? 0) > 0 && document["instructions"] is String)
    let passes = try #require(document["passes"] as? [[String: Any]])
    #expect(passes.map { $0["name"] as? String } == ["gauss-legendre 2", "adaptive", "forward"])
    #expect(passes.allSatisfy { ($0["seconds"] as? Double ?? 0) > 0 && ($0["gigaOperations"] as? Double ?? 0) > 0 })
  }

  @Test("bench times a short prompt with packed weights besides, where the processor gains by them")
  func packedBench() throws {
    let run = try Command(
      "bench", "a swan is [MASK] .", "--repeats", "1", "--rule", "adaptive", "--format", "json", "--model",
      Command.model)
    #expect(run.status == 0)
    let document = try run.json()
    let names = try #require(document["passes"] as? [[String: Any]]).map { $0["name"] as? String }
    let isWide = (document["instructions"] as? String)?.hasPrefix("AVX-512") == true
    #expect(names == ["adaptive"] + (isWide ? ["adaptive, packed"] : []) + ["forward"])
  }

  @Test("results are not written over the files that a command reads, nor over its other results")
  func outputsOverInputs() throws {
    try FixtureFiles.withDirectory { directory in
      let relations = directory.appending(path: "relations")
      try FileManager.default.copyItem(at: FixtureFiles.directory.appending(path: "relations"), to: relations)
      let facts = relations.appending(path: "facts.json")
      let lines = directory.appending(path: "lines.txt")
      try "a swan is [MASK] .\n".write(to: lines, atomically: true, encoding: .utf8)
      let (contents, before) = (try Data(contentsOf: lines), try Data(contentsOf: facts))
      let predict = try Command("predict", "--file", lines.path, "-o", lines.path, "--model", Command.model)
      #expect(predict.failedPlainly && predict.errors.contains("another file of this command"))
      let locating = ["locate", "--relation", "R1", "--limit", "1", "--model", Command.model, "--quiet"]
      #expect(try Command(locating + ["--relations", relations.path, "-o", facts.path]).failedPlainly)
      let labels = relations.appending(path: "labels.json").path
      #expect(try Command(locating + ["--relations", relations.path, "-o", labels]).failedPlainly)
      let named = directory.appending(path: "bert.model")
      try FileManager.default.copyItem(atPath: Command.model + "/tf_model.h5", toPath: named.path)
      #expect(try Command("inspect", named.path, "-o", named.path).errors.contains("another file of this command"))
      let scores = directory.appending(path: "scores.h5").path
      #expect(
        try Command(locating + ["--relations", relations.path, "--attributions", scores, "-o", scores]).failedPlainly)
      #expect(try Command(locating + ["--relations", relations.path, "--attributions", facts.path]).failedPlainly)
      let root = FixtureFiles.directory.deletingLastPathComponent().deletingLastPathComponent()
      let (record, demo) = (directory.appending(path: "record.json"), root.appending(path: "Checkpoints/demo").path)
      try FileManager.default.copyItem(at: root.appending(path: "Edits/update-ireland-paper.json"), to: record)
      let recorded = try Data(contentsOf: record)
      let evaluate = try Command(
        "evaluate", record.path, "-o", record.path, "--model", demo, "--relations", demo + "/relations")
      #expect(evaluate.failedPlainly && evaluate.errors.contains("another file of this command"))
      // The record may be meant by its directory.
      let (alone, inside) = (directory.appending(path: "alone"), "alone/edit.json")
      try FileManager.default.createDirectory(at: alone, withIntermediateDirectories: false)
      try FileManager.default.copyItem(at: record, to: directory.appending(path: inside))
      let again = try Command(
        "evaluate", alone.path, "-o", directory.appending(path: inside).path, "--model", demo, "--relations",
        demo + "/relations")
      #expect(again.failedPlainly && again.errors.contains("another file of this command"))
      #expect(try Data(contentsOf: lines) == contents && Data(contentsOf: facts) == before)
      #expect(try Data(contentsOf: record) == recorded)
      #expect(!FileManager.default.fileExists(atPath: scores))
    }
  }

  @Test("a record whose model is not there says which one is missed")
  func missingSource() throws {
    try FixtureFiles.withDirectory { directory in
      let root = FixtureFiles.directory.deletingLastPathComponent().deletingLastPathComponent()
      let record = try String(contentsOf: root.appending(path: "Edits/update-ireland-paper.json"), encoding: .utf8)
      let sha256 = try #require(record.firstMatch(of: /"source"[^}]*"sha256" : "([0-9a-f]+)"/)).output.1
      let other = directory.appending(path: "edit.json")
      try record.replacingOccurrences(of: sha256, with: String(repeating: "0", count: 64))
        .replacingOccurrences(of: "Checkpoints/demo", with: "gone/model").write(
          to: other, atomically: true, encoding: .utf8)
      let run = try Command("evaluate", other.path)
      #expect(run.failedPlainly && run.errors.contains("gone/model") && run.errors.contains("--model"))
    }
  }

  @Test(
    "the shipped records are judged again from the demo checkpoint, and say what their table says",
    arguments: [("update-ireland", 1...1), ("update-ireland-paper", 0...0), ("erase-currency", 0.95...1)])
  func shippedRecords(name: String, success: ClosedRange<Double>) throws {
    let root = FixtureFiles.directory.deletingLastPathComponent().deletingLastPathComponent()
    let demo = root.appending(path: "Checkpoints/demo")
    let run = try Command(
      "evaluate", root.appending(path: "Edits/\(name).json").path, "--model", demo.path, "--relations",
      demo.appending(path: "relations").path, "--format", "json", "--quiet")
    #expect(run.status == 0, "\(run.errors)")
    #expect(success.contains(try #require(try run.json()["paraphraseSuccessRate"] as? Double)))
  }
}
