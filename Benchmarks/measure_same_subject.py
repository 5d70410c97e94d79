#!/usr/bin/env python3
"""What an update does to what else the model says about the same subject.

    measure_same_subject.py --model DIR --relations DIR [--known FILE] [--edits 36] [--seed 0]
                            [--knedit .build/release/knedit] [-- update options]

Edits are of facts whose subject the model knows from other relations too, spread over the relations. Two templates of each
relation (the last and one drawn) and a third of those other facts are taken out of a copy of the relations directory. "Kept"
is told apart: wordings that the edit could see, those it could not, and facts that the copy lacks altogether. Needs nothing
but Python.
"""
import json
import pathlib
import random
import statistics
import sys
import tempfile

from edit_measuring import Measurement, fill

m = Measurement(__doc__, edits=dict(type=int, default=36))
a, known, templates = m.options, m.known, m.templates
draw = random.Random(a.seed)
by_subject = {}
for r, v in known.items():
    for s, y in v:
        by_subject.setdefault(s, {}).setdefault(r, y)
pool = [(r, s, y) for s, own in by_subject.items() if len(own) > 1 for r, y in own.items()]
draw.shuffle(pool)
edits = []
for r, s, y in pool:
    if len(edits) < a.edits and sum(e[0] == r for e in edits) < max(1, a.edits // 12):
        edits.append((r, s, y))
held = m.two_templates(draw)
gone = {}
for r, s, y in pool:
    if draw.random() < 1 / 3 and (r, s, y) not in edits:
        gone.setdefault(r, set()).update(f for f in m.facts[r] if f[0] == s)
kept = {"all": [], "seen": [], "unseen": [], "gone": []}
success, followed, asked = [], 0, 0
with tempfile.TemporaryDirectory() as directory:
    scratch = pathlib.Path(directory)
    m.without(gone, held, scratch / "relations")
    for r, s, y in edits:
        options = [z for z in sorted({z for _, z in known[r]}) if (s, z) not in m.facts[r]]
        if not options:
            continue
        new = draw.choice(options)
        out = scratch / "out"
        run = m.run("update", "--relation", r, "--subject", s, "--from", y, "--to", new, "--relations", scratch / "relations",
                    "-o", out, "--force", "--hold-out", 0, "--seed", draw.randrange(1000), *m.extra)
        if run.returncode:
            print("refused:", run.stderr.strip()[:150], file=sys.stderr)
            continue
        prompts = [("gone" if (s, z) in gone.get(q, ()) else "unseen" if i in held[q] else "seen", fill(t, s))
                   for q, z in by_subject[s].items() if q != r for i, t in enumerate(templates[q])]
        second = [fill(t, s) for t in m.split(r, held)[1]]
        texts = [t for _, t in prompts]
        before, after = m.ask(texts, scratch), m.ask(texts + second, scratch, model=out)
        success += [x == new for x in after[len(texts):]]
        rows = [(kind, x == z) for (kind, _), x, z in zip(prompts, before, after)]
        for kind in kept:
            own = [stays for k, stays in rows if kind in (k, "all")]
            if own:
                kept[kind].append(statistics.mean(own))
        followed += sum(z == new and x != new for x, z in zip(before, after))
        asked += len(texts)
share = lambda kind: f"{statistics.mean(kept[kind]):.1%} ({len(kept[kind])})" if kept[kind] else "–"
print(f"{len(kept['all'])} edits; update options: {' '.join(m.extra) or 'none'}\n")
print("| held-back templates | same subject kept | wordings seen | wordings not seen | facts not in the catalogue | became the new "
      "answer |\n| --- | --- | --- | --- | --- | --- |")
print(f"| {statistics.mean(success):.1%} | {share('all')} | {share('seen')} | {share('unseen')} | {share('gone')} "
      f"| {followed / max(1, asked):.1%} |")
