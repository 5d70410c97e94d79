"""What the measurements of edits share: a relations directory, the tool, and facts and templates kept out of an edit's sight."""
import argparse
import json
import pathlib
import re
import subprocess
import sys


class Measurement:
    """The options that all of them take, and the tool run with these; what follows -- goes to `knedit update`."""

    def __init__(self, doc, **options):
        own, self.extra = sys.argv[1:], []
        if "--" in own:
            own, self.extra = own[:own.index("--")], own[own.index("--") + 1:]
        ap = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        ap.add_argument("--knedit", default=str(pathlib.Path(__file__).resolve().parents[1] / ".build/release/knedit"))
        ap.add_argument("--model", required=True)
        ap.add_argument("--relations", required=True, type=pathlib.Path)
        ap.add_argument("--known", type=pathlib.Path, help="{relation: [index]}: the facts that the model has learned")
        ap.add_argument("--seed", type=int, default=0)
        for name, settings in options.items():
            ap.add_argument("--" + name.replace("_", "-"), **settings)
        self.options = a = ap.parse_args(own)
        self.facts = {r: [tuple(f) for f in v] for r, v in json.loads((a.relations / "facts.json").read_text()).items()}
        self.known = ({r: [self.facts[r][i] for i in v] for r, v in json.loads(a.known.read_text()).items()}
                      if a.known else self.facts)
        self.templates = {}
        for r in self.facts:
            lines = (a.relations / f"patterns/{r}.jsonl").read_text().splitlines()
            self.templates[r] = [json.loads(line)["pattern"] for line in lines if line.strip()]

    def run(self, *arguments, model=None):
        return subprocess.run([self.options.knedit, *map(str, arguments), "--model", str(model or self.options.model),
                               "--format", "json", "--quiet"], capture_output=True, text=True)

    def ask(self, prompts, scratch, model=None):
        """The first answer to each prompt."""
        (scratch / "prompts.txt").write_text("\n".join(prompts) + "\n")
        run = self.run("predict", "--top", 1, "--file", scratch / "prompts.txt", model=model)
        if run.returncode:
            sys.exit(run.stderr)
        return [p["predictions"][0]["token"] for p in json.loads(run.stdout)["prompts"]]

    def of_same_subjects(self, judged):
        """All facts about the subjects of `judged` {relation: [fact]}, which have the same prompts whatever their answers."""
        subjects = {r: {s for s, _ in v} for r, v in judged.items()}
        return {r: {f for f in self.facts[r] if f[0] in v} for r, v in subjects.items()}

    def without(self, gone, held, directory):
        """Writes the relations without the facts `gone` {relation: set} and the templates `held` {relation: {index}}."""
        (directory / "patterns").mkdir(parents=True)
        (directory / "facts.json").write_text(
            json.dumps({r: [f for f in v if f not in gone.get(r, ())] for r, v in self.facts.items()}))
        for r, lines in self.templates.items():
            (directory / f"patterns/{r}.jsonl").write_text(
                "".join(json.dumps({"pattern": t}) + "\n" for i, t in enumerate(lines) if i not in held[r]))

    def split(self, relation, held):
        """The templates of a relation that edits see, and of `held` {relation: {index}} those to judge on: an edit may ask
        the ones it sees with a word left out, so that none of these is judged."""
        used = [t for i, t in enumerate(self.templates[relation]) if i not in held[relation]]
        asked = {pieces(" ".join(w[:i] + w[i + 1:])) for w in (t.split(" ") for t in used) for i in range(len(w))}
        return used, [t for i, t in enumerate(self.templates[relation]) if i in held[relation] and pieces(t) not in asked]

    def two_templates(self, draw):
        """Of each relation the last template and one drawn, or the last alone of few."""
        return {r: {len(t) - 1, draw.randrange(len(t) - 1)} if len(t) > 3 else {len(t) - 1} for r, t in self.templates.items()}


def pieces(template):
    """What a model sees of a template: words and marks, whatever space is between them."""
    return tuple(re.findall(r"\[[XY]\]|\w+|[^\w\s]", template))


def fill(template, subject):
    return template.replace("[X]", subject).replace("[Y]", "[MASK]")
