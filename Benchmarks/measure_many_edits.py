#!/usr/bin/env python3
"""How success and locality fall as edits pile up: `knedit update --edits` with 1, 10, 100 … facts, together or one by one.

    measure_many_edits.py --model DIR --relations DIR [--known FILE] [--counts 1 10 100] [--one-by-one] [--seed 0]
                          [--knedit .build/release/knedit] [--plot FILE.svg] [-- update options]

A third of each relation's known facts and its last template are taken out of a copy of the relations directory. Edits are
drawn over all relations from facts that the model gets right; "kept" is measured on 600 prompts of the facts taken out.
--known is {relation: [index]}: the facts the model has learned. Needs nothing but Python.
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

m = Measurement(__doc__, counts=dict(type=int, nargs="+", default=[1, 10, 100]), one_by_one=dict(action="store_true"),
                plot=dict(type=pathlib.Path))
a, extra, facts, known, templates, ask = m.options, m.extra, m.facts, m.known, m.templates, m.ask
draw = random.Random(a.seed)
rows = []
with tempfile.TemporaryDirectory() as directory:
    scratch = pathlib.Path(directory)
    judged = {r: draw.sample(v, max(1, len(v) // 3)) for r, v in known.items()}
    gone = m.of_same_subjects(judged)
    m.without(gone, {r: {len(t) - 1} for r, t in templates.items()}, scratch / "relations")
    pool = [(r, s, y) for r, v in known.items() for s, y in v if (s, y) not in gone[r]]
    draw.shuffle(pool)
    pool = pool[:2 * max(a.counts) + 40]
    said = ask([fill(templates[r][0], s) for r, s, _ in pool], scratch)
    taken, changes = set(), []
    for (r, s, y), word in zip(pool, said):
        options = sorted({z for _, z in known[r]} - {z for t, z in facts[r] if t == s})
        if word == y and (r, s) not in taken and options:
            taken.add((r, s))
            changes.append({"relation": r, "subject": s, "from": y, "to": draw.choice(options)})
    others = [(fill(draw.choice(templates[r]), s), s) for r, v in judged.items() for s, _ in draw.sample(v, min(18, len(v)))]
    for count in a.counts:
        own = changes[:count]
        subjects = {c["subject"] for c in own}
        kept = [prompt for prompt, s in others if s not in subjects]
        (scratch / "edits.json").write_text(json.dumps(own))
        out = scratch / "out"
        start = time.monotonic()
        run = m.run("update", "--edits", scratch / "edits.json", "--relations", scratch / "relations", "-o", out, "--force",
                    "--hold-out", 0, "--seed", a.seed, *(["--one-by-one"] if a.one_by_one else []), *extra)
        if run.returncode:
            sys.exit(run.stderr)
        record = json.loads(run.stdout)
        seconds = time.monotonic() - start
        held = [fill(templates[c["relation"]][-1], c["subject"]) for c in own]
        after, before = ask(held + kept, scratch, model=out), ask(held + kept, scratch)
        n = len(own)
        knew = [x == c["to"] for x, y, c in zip(after, before, own) if y == c["from"]]
        rows.append(dict(count=n, edited=record["after"]["successRate"], holding=record["after"]["holding"],
                         held=statistics.mean(x == c["to"] for x, c in zip(after, own)),
                         knew=statistics.mean(knew) if knew else math.nan,
                         kept=statistics.mean(x == y for x, y in zip(before[n:], after[n:])),
                         slots=len(record["neurons"]), norm=record["after"]["changeNorm"], seconds=seconds))
        print(rows[-1], file=sys.stderr, flush=True)
print(f"{'one by one' if a.one_by_one else 'together'}; update options: {' '.join(extra) or 'none'}\n")
print("| edits | edited templates | edits that hold everywhere | held-back template | of those, where the model knew the fact "
      "| others kept | slots | norm of Δ | s |\n| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
for r in rows:
    print(f"| {r['count']} | {r['edited']:.1%} | {r['holding']:.1%} | {r['held']:.1%} | {r['knew']:.1%} | {r['kept']:.1%} "
          f"| {r['slots']} | {r['norm']:.1f} | {r['seconds']:.1f} |")

if a.plot:
    px = lambda count: 60 + 420 * math.log10(count) / max(1, math.log10(max(a.counts)))
    py = lambda share: 330 - 290 * share
    svg = ['<svg xmlns="http://www.w3.org/2000/svg" width="640" height="390" font-family="sans-serif" font-size="12">',
           '<rect width="640" height="390" fill="white"/>']
    for share in (0, 0.25, 0.5, 0.75, 1):
        svg.append(f'<line x1="60" x2="480" y1="{py(share)}" y2="{py(share)}" stroke="#ddd"/>'
                   f'<text x="52" y="{py(share) + 4}" text-anchor="end">{share:.0%}</text>')
    for r in rows:
        svg.append(f'<text x="{px(r["count"])}" y="348" text-anchor="middle">{r["count"]}</text>')
    last = []
    for key, label, colour in [("edited", "edited templates", "#1b6"), ("held", "held-back template", "#36c"),
                               ("kept", "others kept", "#c63")]:
        points = " ".join(f'{px(r["count"]):.1f},{py(r[key]):.1f}' for r in rows)
        svg.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        y = py(rows[-1][key]) + 4
        while any(abs(y - other) < 14 for other in last):
            y += 14
        last.append(y)
        svg.append(f'<text x="{px(rows[-1]["count"]) + 8}" y="{y}" fill="{colour}">{label}</text>')
    svg += [f'<text x="270" y="372" text-anchor="middle">facts edited {"one by one" if a.one_by_one else "together"}</text>', "</svg>"]
    a.plot.write_text("\n".join(svg) + "\n")
