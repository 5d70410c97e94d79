#!/usr/bin/env python3
"""Compare attribution rules with the exact integral: error, coarse sets, refined sets and time, as a table and a plot.

    pip install h5py numpy
    compare_rules.py --model DIR --relations DIR [--facts FILE.json] [--per-relation 3] [--relation P36 ...]
                     [--rule adaptive --rule riemann:20 ...] [--rounds 1] [--knedit .build/release/knedit] [--plot error-over-time.svg]

The exact integral is Gauss and Legendre's with 24 points. A coarse set counts as wrong when a neuron is in one and not
in the other whose exact score is more than 1 % away from the threshold; "near" counts those within 1 %.
"""
import argparse
import json
import math
import pathlib
import statistics
import subprocess
import tempfile
import time

import h5py
import numpy as np

RULES = [("riemann", 20), ("left-riemann", 20), ("gauss-legendre", 2), ("gauss-legendre", 3), ("gauss-legendre", 4),
         ("gauss-legendre", 8), ("adaptive", 0)]
HERE = pathlib.Path(__file__).resolve().parent
ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("--model", required=True)
ap.add_argument("--relations", required=True)
ap.add_argument("--facts", type=pathlib.Path, help="{relation: [index]} as locate's --facts takes it")
ap.add_argument("--per-relation", type=int, default=3)
ap.add_argument("--relation", action="append")
ap.add_argument("--rule", action="append", help="a rule to compare, with :POINTS where it takes any; default all")
ap.add_argument("--rounds", type=int, default=1, help="timed runs of each rule, in turns; medians count")
ap.add_argument("--knedit", default=str(HERE.parent / ".build/release/knedit"))
ap.add_argument("--plot", type=pathlib.Path)
a = ap.parse_args()
if a.rule:
    RULES = [(name, int(steps or 0)) for name, _, steps in (rule.partition(":") for rule in a.rule)]


def locate(scratch, rule, steps, baseline=False):
    """Scores per prompt [prompt, layer, neuron], refined sets per fact, and seconds."""
    scores = scratch / "scores.h5"
    names = a.relation or sorted(json.loads((pathlib.Path(a.relations) / "facts.json").read_text()))
    command = [a.knedit, "locate", "--model", a.model, "--relations", a.relations, "--limit", str(a.per_relation),
               "--attributions", str(scores), "--format", "json", "--quiet"]
    command += ["--baseline"] if baseline else ["--rule", rule]
    command += ["--steps", str(steps)] if steps else []
    command += ["--facts", str(a.facts)] if a.facts else []
    for name in names:
        command += ["--relation", name]
    start = time.monotonic()
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds = time.monotonic() - start
    document = json.loads(run.stdout)
    sets = [{(n["layer"], n["index"]) for n in f["neurons"]} for r in document["relations"] for f in r["facts"]]
    with h5py.File(scores) as f:
        values = [f[f"{r['relation']}/{i}/scores"][()] for r in document["relations"] for i in range(len(r["facts"]))]
    return np.concatenate(values), sets, seconds


with tempfile.TemporaryDirectory() as directory:
    scratch = pathlib.Path(directory)
    exact, exact_sets, _ = locate(scratch, "gauss-legendre", 24)
    # What is no attribution: starting, reading, writing scores, and one forward pass.
    _, _, overhead = locate(scratch, "", 0, baseline=True)
    largest = exact.max(axis=(1, 2), keepdims=True)
    threshold = 0.2 * largest
    near = np.abs(exact - threshold) <= 0.01 * threshold
    rows = []
    timed = [[locate(scratch, rule, steps)[2] for rule, steps in RULES] for _ in range(a.rounds - 1)]
    for index, (rule, steps) in enumerate(RULES):
        found, sets, seconds = locate(scratch, rule, steps)
        seconds = statistics.median([seconds] + [times[index] for times in timed])
        differs = (exact >= threshold) != (found >= 0.2 * found.max(axis=(1, 2), keepdims=True))
        error = (np.abs(found - exact) / largest).max(axis=(1, 2))
        rows.append(dict(
            name=f"{rule} {steps}" if steps else rule, seconds=(seconds - overhead) / len(exact), error=error,
            wrong=int((differs & ~near).any(axis=(1, 2)).sum()), near=int((differs & near).sum()),
            same=float(np.mean([x == y for x, y in zip(sets, exact_sets)]))))

print(f"{len(exact)} prompts of {len(exact_sets)} facts; {a.model}\n")
print(f"| rule | ms/prompt | × {rows[0]['name']} | error by largest score: median, 99 %, max | prompts with wrong coarse set "
      "| neurons within 1 % that differ | facts with the same refined set |\n| --- | --- | --- | --- | --- | --- | --- |")
for r in rows:
    q = np.quantile(r["error"], [0.5, 0.99, 1])
    print(f"| {r['name']} | {1000 * r['seconds']:.1f} | {rows[0]['seconds'] / r['seconds']:.1f} "
          f"| {q[0]:.1e}, {q[1]:.1e}, {q[2]:.1e} | {r['wrong']} | {r['near']} | {r['same']:.1%} |")

if a.plot:
    points = [(r["name"], math.log10(1000 * r["seconds"]), math.log10(np.median(r["error"])),
               math.log10(np.max(r["error"]))) for r in rows]
    xs = [math.floor(min(p[1] for p in points)), math.ceil(max(p[1] for p in points))]
    ys = [math.floor(min(p[2] for p in points)), math.ceil(max(p[3] for p in points))]
    px = lambda x: 70 + 460 * (x - xs[0]) / (xs[1] - xs[0])
    py = lambda y: 330 - 290 * (y - ys[0]) / (ys[1] - ys[0])
    svg = ['<svg xmlns="http://www.w3.org/2000/svg" width="640" height="390" font-family="sans-serif" font-size="12">',
           '<rect width="640" height="390" fill="white"/>']
    for x in range(xs[0], xs[1] + 1):
        svg.append(f'<line x1="{px(x)}" x2="{px(x)}" y1="40" y2="330" stroke="#ddd"/>'
                   f'<text x="{px(x)}" y="348" text-anchor="middle">{10.0 ** x:g}</text>')
    for y in range(ys[0], ys[1] + 1):
        svg.append(f'<line x1="70" x2="530" y1="{py(y)}" y2="{py(y)}" stroke="#ddd"/>'
                   f'<text x="62" y="{py(y) + 4}" text-anchor="end">1e{y}</text>')
    for name, x, low, high in points:
        svg.append(f'<line x1="{px(x)}" x2="{px(x)}" y1="{py(low)}" y2="{py(high)}" stroke="#369"/>'
                   f'<circle cx="{px(x)}" cy="{py(low)}" r="4" fill="#369"/>'
                   f'<text x="{px(x) + 7}" y="{py(low) + 4}">{name}</text>')
    svg += ['<text x="300" y="372" text-anchor="middle">milliseconds a prompt</text>',
            '<text x="70" y="24">error by the prompt\'s largest score: median (dot) and maximum (line)</text>', "</svg>"]
    a.plot.write_text("\n".join(svg) + "\n")
