#!/usr/bin/env python3
"""Measure `knedit update` on facts of every relation: does the edit hold, on wordings it has not seen, and what else moved?

    measure_edits.py --model DIR --relations DIR [--known FILE] [--facts 10] [--seed 0] [--random COUNT]
                     [--knedit .build/release/knedit] [-- update options]

Two templates of each relation (the last and one drawn) and a third of its facts (drawn) are taken out of a copy of the
relations directory, so that no edit can see them; a template that is another one with a word left out is not judged. Edits
are drawn from facts that the model gets right; the new answer is another one of the relation. "Kept" is measured on the facts that were taken out, over every template. --known is
{relation: [index]}: the facts the model has learned. --random COUNT moves that many neurons drawn at random from the last
layer, by the same optimisation. What follows -- goes to `knedit update`. Needs nothing but Python.
"""
import json
import math
import pathlib
import random
import statistics
import sys
import tempfile
import time

from edit_measuring import Measurement, fill

m = Measurement(__doc__, facts=dict(type=int, default=10), random=dict(type=int, default=0),
                show=dict(action="store_true", help="a line per edit on standard error"))
a, extra, facts, known, templates, ask = m.options, m.extra, m.facts, m.known, m.templates, m.ask
draw = random.Random(a.seed)
config = json.loads((pathlib.Path(a.model) / "config.json").read_text())
rows, refused = [], []
with tempfile.TemporaryDirectory() as directory:
    scratch = pathlib.Path(directory)
    held = m.two_templates(draw)
    judged = {r: draw.sample(v, max(1, len(v) // 3)) for r, v in known.items()}
    gone = m.of_same_subjects(judged)
    m.without(gone, held, scratch / "relations")
    for relation, pairs in known.items():
        used, kept_back = m.split(relation, held)
        editable = [f for f in pairs if f not in gone[relation]]
        said = ask([fill(used[0], s) for s, _ in editable], scratch)
        right = [f for f, answer in zip(editable, said) if answer == f[1]]
        answers = sorted({y for _, y in pairs})
        for subject, old in draw.sample(right, min(a.facts, len(right))):
            options = [y for y in answers if (subject, y) not in facts[relation]]
            if not options:
                continue
            new = draw.choice(options)
            seed = draw.randrange(1000)
            arguments = []
            if a.random:
                neurons = [{"layer": config["num_hidden_layers"] - 1, "index": i, "prompts": 1}
                           for i in sorted(draw.sample(range(config["intermediate_size"]), a.random))]
                fact = dict(subject=subject, answer=old, neurons=neurons)
                located = dict(relation=relation, p=1, meanSize=a.random, rule="random", steps=0, facts=[fact])
                (scratch / "random.json").write_text(json.dumps(dict(schema=1, relations=[located])))
                arguments = ["--neurons", scratch / "random.json"]
            out = scratch / "out"
            start = time.monotonic()
            run = m.run("update", "--relation", relation, "--subject", subject, "--from", old, "--to", new, "--relations",
                        scratch / "relations", "-o", out, "--force", "--hold-out", 0, "--seed", seed, *arguments, *extra)
            seconds = time.monotonic() - start
            if run.returncode:
                refused.append(run.stderr.strip())
                continue
            same = [fill(draw.choice(templates[relation]), s) for s, _ in judged[relation] if s != subject]
            same = draw.sample(same, min(100, len(same)))
            others = [fill(draw.choice(templates[r]), draw.choice(judged[r])[0])
                      for r in known if r != relation for _ in range(max(3, 100 // len(known)))]
            first = [fill(t, subject) for t in used]
            second = [fill(t, subject) for t in kept_back]
            after = ask(first + second + same + others, scratch, model=out)
            before = ask(second + same + others, scratch)
            n, h, k = len(first), len(second), len(same)
            stays = [x == y for x, y in zip(before[h:], after[n + h:])]
            record = json.loads(run.stdout)
            rows.append(dict(relation=relation, edited=statistics.mean(x == new for x in after[:n]),
                             held=[x == new for x in after[n:n + h]],
                             known=[x == new for x, y in zip(after[n:n + h], before) if y == old],
                             same=statistics.mean(stays[:k]), others=statistics.mean(stays[k:]),
                             before=math.log(record["before"]["interPerplexity"]),
                             after=math.log(record["after"]["interPerplexity"]),
                             norm=record["after"]["changeNorm"], slots=len(record["neurons"]), seconds=seconds))
            if a.show:
                print(relation, subject, old, "->", new, rows[-1], file=sys.stderr, flush=True)
mean = lambda key: statistics.mean(r[key] for r in rows)
held_back = [x for r in rows for x in r["held"]]
known_wordings = [x for r in rows for x in r["known"]]
print(f"{len(rows)} edits, {len(refused)} refused; update options: {' '.join(extra) or 'none'}"
      + (f"; {a.random} random neurons" if a.random else ""))
for message in sorted(set(refused))[:5]:
    print("  refused:", message[:150])
print("\n| edited templates | held-back templates | of those, where the model knew the fact | same relation kept "
      "| other relations kept | Δ inter PPL | slots, mean (most) | norm of Δ | s/edit, median |")
print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
print(f"| {mean('edited'):.1%} | {statistics.mean(held_back):.1%} | {statistics.mean(known_wordings):.1%} ({len(known_wordings)}) | {mean('same'):.1%} "
      f"| {mean('others'):.1%} | {math.exp(mean('after') - mean('before')) - 1:+.1%} "
      f"| {mean('slots'):.1f} ({max(r['slots'] for r in rows)}) | {mean('norm'):.1f} "
      f"| {statistics.median(r['seconds'] for r in rows):.2f} |")
