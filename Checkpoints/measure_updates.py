#!/usr/bin/env python3
"""Measure an editing method with knedit over facts of every relation: change and success rates and perplexities.

    measure_updates.py [--knedit .build/release/knedit] [--model DIR --relations DIR] [--facts 10] [--seed 0] [-- update options]

Each relation is located as a whole once, so that p and the sharing rule are the relation's. Of each relation, facts
are drawn that the model gets right on the edited prompt; t' is another answer of the relation, drawn as well. What
follows -- goes to `knedit update`, by the paper's method unless it names another. Needs nothing but Python.
"""
import argparse
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
extra = sys.argv[sys.argv.index("--") + 1:] if "--" in sys.argv else []
method = [] if "--method" in extra else ["--method", "paper"]
ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--knedit", default=str(HERE.parent / ".build/release/knedit"))
ap.add_argument("--model", default=str(HERE / "demo"))
ap.add_argument("--relations", default=str(HERE / "demo/relations"))
ap.add_argument("--facts", type=int, default=10)
ap.add_argument("--seed", type=int, default=0)
a = ap.parse_args(sys.argv[1:sys.argv.index("--")] if "--" in sys.argv else None)
shared = ["--model", a.model, "--relations", a.relations, "--format", "json", "--quiet"]


def knedit(*arguments):
    return subprocess.run([a.knedit, *map(str, arguments), *shared], capture_output=True, text=True)


pools = json.loads((pathlib.Path(a.relations) / "facts.json").read_text())
draw = random.Random(a.seed)
rows, nothing = {}, {}
with tempfile.TemporaryDirectory() as scratch:
    for relation, pairs in pools.items():
        neurons = pathlib.Path(scratch) / f"{relation}.json"
        located = knedit("locate", "--relation", relation, "-o", neurons)
        if located.returncode:
            sys.exit(located.stderr)
        answers = sorted({y for _, y in pairs})
        order = pairs[:]
        draw.shuffle(order)
        rows[relation], nothing[relation] = [], 0
        for subject, old in order:
            if len(rows[relation]) == a.facts:
                break
            new = draw.choice([y for y in answers if [subject, y] not in pairs])
            seed = draw.randrange(1000)
            out = pathlib.Path(scratch) / "out"
            update = knedit("update", "--relation", relation, "--subject", subject, "--from", old, "--to", new,
                            "--neurons", neurons, "-o", out, "--force", "--hold-out", 0, "--seed", seed, *method,
                            *extra)
            if update.returncode:
                if "o knowledge neuron" not in update.stderr:
                    sys.exit(update.stderr)
                nothing[relation] += 1
                continue
            figures = json.loads(knedit("evaluate", out).stdout)
            if figures["edited"]["bestBefore"] == old:
                rows[relation].append(figures)

rows["all"], nothing["all"] = [r for v in rows.values() for r in v], sum(nothing.values())
print(f"{'':9} facts  no neuron  slots  change  success  success, all prompts  Δ intra PPL  Δ inter PPL"
      "  random: change  success")
for relation, found in rows.items():
    if not found:
        continue
    mean = lambda f: sum(map(f, found)) / len(found)
    ppl = lambda key: math.exp(mean(lambda r: math.log(r[key])))
    delta = lambda kind: ppl(f"{kind}PerplexityAfter") - ppl(f"{kind}PerplexityBefore")
    print(f"{relation:9} {len(found):5}  {nothing[relation]:9}  {mean(lambda r: len(r['neurons'])):5.1f}"
          f"  {mean(lambda r: r['changeRate']):6.1%}  {mean(lambda r: r['successRate']):7.1%}"
          f"  {mean(lambda r: r['paraphraseSuccessRate']):20.1%}  {delta('intra'):11.3f}  {delta('inter'):11.3f}"
          f"  {mean(lambda r: r['control']['changeRate']):14.1%}  {mean(lambda r: r['control']['successRate']):7.1%}")
