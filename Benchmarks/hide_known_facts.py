#!/usr/bin/env python3
"""A copy of the relations without a third of what the model knows of each but one, to see what an erasure of that one does to it.

    hide_known_facts.py --relations DIR --known FILE --relation P36 [--seed 5] COPY

--known is {relation: [index]}: the facts the model has learned. COPY becomes a relations directory without the facts drawn, nor any
other about their subjects in that relation. COPY/erased.json names the known facts of the relation, COPY/hidden.json these and the
facts drawn, by their index in DIR. Then:

    knedit erase --model MODEL --relations COPY --facts COPY/erased.json --relation P36 -o OUT --force
    knedit perplexity --edited OUT --relations DIR --facts COPY/hidden.json

Needs nothing but Python.
"""
import argparse
import json
import pathlib
import random
import shutil

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--relations", required=True, type=pathlib.Path)
ap.add_argument("--known", required=True, type=pathlib.Path)
ap.add_argument("--relation", required=True)
ap.add_argument("--seed", type=int, default=5)
ap.add_argument("copy", type=pathlib.Path)
a = ap.parse_args()
facts = json.loads((a.relations / "facts.json").read_text())
known = json.loads(a.known.read_text())
if a.relation not in known:
    ap.error(f"{a.known} has no {a.relation}")
draw = random.Random(a.seed)
hidden = {r: sorted(draw.sample(known[r], len(known[r]) // 3)) for r in sorted(known) if r != a.relation}
gone = {r: {facts[r][i][0] for i in indices} for r, indices in hidden.items()}
(a.copy / "patterns").mkdir(parents=True)
for file in (a.relations / "patterns").iterdir():
    shutil.copyfile(file, a.copy / "patterns" / file.name)
if (a.relations / "labels.json").exists():
    shutil.copyfile(a.relations / "labels.json", a.copy / "labels.json")


def write(name, content):
    (a.copy / name).write_text(json.dumps(content))


write("facts.json", {r: [f for f in v if f[0] not in gone.get(r, ())] for r, v in facts.items()})
write("erased.json", {a.relation: known[a.relation]})
write("hidden.json", {**hidden, a.relation: known[a.relation]})
print(f"{sum(map(len, hidden.values()))} known facts are hidden")
