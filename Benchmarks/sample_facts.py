"""Draws facts of every relation, with at most so many prompts each, for `knedit locate --facts`.

    python Benchmarks/sample_facts.py pararel SAMPLE.json
"""

import argparse
import json
import pathlib
import random

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("relations", type=pathlib.Path, help="a directory in PARAREL's layout")
parser.add_argument("sample", type=pathlib.Path, help="the file to write")
parser.add_argument("--prompts", type=int, default=32, help="the most of a relation, but one fact at least")
parser.add_argument("--seed", type=int, default=7)
arguments = parser.parse_args()

facts = json.loads((arguments.relations / "facts.json").read_text())
generator = random.Random(arguments.seed)
sample, prompts = {}, 0
for relation, known in facts.items():
    lines = (arguments.relations / "patterns" / f"{relation}.jsonl").read_text().splitlines()
    templates = sum(1 for line in lines if line.strip())
    count = min(len(known), max(1, arguments.prompts // templates))
    sample[relation] = sorted(generator.sample(range(len(known)), count))
    prompts += count * templates
arguments.sample.write_text(json.dumps(sample))
print(f"{sum(map(len, sample.values()))} facts, {prompts} prompts")
