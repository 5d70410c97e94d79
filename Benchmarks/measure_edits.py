#!/usr/bin/env python3
"""Measure an editing method on templates it never saw: reliability, generalization and locality.

    measure_edits.py --model DIR --relations DIR [--known FILE.json] [--facts 10] [--seed 0]
                     [--knedit .build/release/knedit] [-- options of knedit update]

Of each relation, facts are drawn that the model gets right on its first template; t' is another answer of the relation.
The last template and one more are held back: `knedit update` runs on relations without them. Then the written checkpoint
is asked with `knedit predict`: the edited templates, the held-back ones, and other facts of the
same and of other relations, whose first answer should be what it was. These are drawn without regard to the edit's own
neighbours: where a relation has 300 facts, some 96 of them, one prompt each, were neighbours. --known restricts the
facts to {relation: [index]}. Needs nothing but Python.
"""
import argparse
import json
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
extra = sys.argv[sys.argv.index("--") + 1:] if "--" in sys.argv else []
ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--knedit", default=str(HERE.parent / ".build/release/knedit"))
ap.add_argument("--model", required=True)
ap.add_argument("--relations", required=True, type=pathlib.Path)
ap.add_argument("--known", type=pathlib.Path)
ap.add_argument("--facts", type=int, default=10)
ap.add_argument("--seed", type=int, default=0)
a = ap.parse_args(sys.argv[1:len(sys.argv) - len(extra) - 1] if extra else None)
draw = random.Random(a.seed)


def knedit(*arguments, model=a.model):
    return subprocess.run([a.knedit, *map(str, arguments), "--model", str(model), "--format", "json", "--quiet"],
                          capture_output=True, text=True)


def ask(prompts, scratch, model=a.model):
    """The first answer to each prompt."""
    (scratch / "prompts.txt").write_text("\n".join(prompts) + "\n")
    run = knedit("predict", "--top", 1, "--file", scratch / "prompts.txt", model=model)
    if run.returncode:
        sys.exit(run.stderr)
    return [p["predictions"][0]["token"] for p in json.loads(run.stdout)["prompts"]]


facts = {r: [tuple(f) for f in v] for r, v in json.loads((a.relations / "facts.json").read_text()).items()}
known = {r: [facts[r][i] for i in v] for r, v in json.loads(a.known.read_text()).items()} if a.known else facts
templates = {r: [json.loads(l)["pattern"] for l in (a.relations / f"patterns/{r}.jsonl").read_text().splitlines() if l.strip()]
             for r in facts}
fill = lambda t, subject: t.replace("[X]", subject).replace("[Y]", "[MASK]")
rows, failed = [], 0
with tempfile.TemporaryDirectory() as directory:
    scratch = pathlib.Path(directory)
    held = {r: {len(t) - 1, draw.randrange(len(t) - 1)} if len(t) > 3 else set() for r, t in templates.items()}
    (scratch / "relations/patterns").mkdir(parents=True)
    (scratch / "relations/facts.json").write_text((a.relations / "facts.json").read_text())
    for r, lines in templates.items():
        (scratch / f"relations/patterns/{r}.jsonl").write_text(
            "".join(json.dumps({"pattern": t}) + "\n" for i, t in enumerate(lines) if i not in held[r]))
    for relation, pairs in known.items():
        used = [t for i, t in enumerate(templates[relation]) if i not in held[relation]]
        kept_back = [templates[relation][i] for i in sorted(held[relation])]
        said = ask([fill(used[0], s) for s, _ in pairs], scratch)
        right = [f for f, answer in zip(pairs, said) if answer == f[1]]
        answers = sorted({y for _, y in pairs})
        for subject, old in draw.sample(right, min(a.facts, len(right))):
            options = [y for y in answers if (subject, y) not in facts[relation]]
            if not options:
                continue
            new = draw.choice(options)
            out = scratch / "out"
            start = time.monotonic()
            run = knedit("update", "--relation", relation, "--subject", subject, "--from", old, "--to", new,
                         "--relations", scratch / "relations", "-o", out, "--force", "--seed", draw.randrange(1000), *extra)
            seconds = time.monotonic() - start
            if run.returncode:
                failed += 1
                continue
            same = [fill(draw.choice(used), s) for s, _ in draw.sample(pairs, min(60, len(pairs))) if s != subject]
            others = [fill(draw.choice(templates[r]), draw.choice(known[r])[0]) for r in known if r != relation for _ in range(3)]
            first = [fill(t, subject) for t in used]
            second = [fill(t, subject) for t in kept_back]
            after = ask(first + second + same + others, scratch, model=out)
            before = ask(same + others, scratch)
            n, m, k = len(first), len(second), len(same)
            stays = [x == y for x, y in zip(before, after[n + m:])]
            record = json.loads(run.stdout)
            rows.append(dict(relation=relation, edited=statistics.mean(x == new for x in after[:n]),
                             held=statistics.mean(x == new for x in after[n:n + m]) if m else None,
                             same=statistics.mean(stays[:k]), others=statistics.mean(stays[k:]),
                             slots=len(record["neurons"]), seconds=seconds))
mean = lambda key: statistics.mean(r[key] for r in rows if r[key] is not None)
print(f"{len(rows)} edits, {failed} refused; update options: {' '.join(extra) or 'none'}\n")
print("| edited templates | held-back templates | same relation kept | other relations kept | slots, mean (most) | s/edit, median |")
print("| --- | --- | --- | --- | --- | --- |")
print(f"| {mean('edited'):.1%} | {mean('held'):.1%} | {mean('same'):.1%} | {mean('others'):.1%} "
      f"| {mean('slots'):.1f} ({max(r['slots'] for r in rows)}) | {statistics.median(r['seconds'] for r in rows):.2f} |")
