#!/usr/bin/env python3
"""What an erasure did to the facts of the other relations that the model knows: the rise of each relation's perplexity.

    measure_erasure.py --model DIR --erased DIR --relations DIR --relation P27 [--known FILE] [--facts 30] [--seed 7]

DIR of --model and --erased are directories that Transformers loads. --known is {relation: [index]}: the facts the model has
learned. The erasure may have seen many of these prompts. Needs torch and transformers.
"""
import argparse
import json
import math
import pathlib
import random

import torch
from transformers import BertForMaskedLM, BertTokenizer, logging

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
for name in ("model", "erased", "relations"):
    ap.add_argument("--" + name, required=True, type=pathlib.Path)
ap.add_argument("--relation", required=True)
ap.add_argument("--known", type=pathlib.Path)
ap.add_argument("--facts", type=int, default=30)
ap.add_argument("--seed", type=int, default=7)
a = ap.parse_args()
logging.set_verbosity_error()
facts = json.loads((a.relations / "facts.json").read_text())
known = json.loads(a.known.read_text()) if a.known else {r: range(len(v)) for r, v in facts.items()}
tokenizer = BertTokenizer(str(a.model / "vocab.txt"), do_lower_case=False)
before, after = (BertForMaskedLM.from_pretrained(str(path)).eval() for path in (a.model, a.erased))
draw = random.Random(a.seed)


def mean_log(model, prompts, answers):
    """The mean ln P of the answers."""
    total = 0.0
    with torch.no_grad():
        for start in range(0, len(prompts), 256):
            batch = tokenizer(prompts[start:start + 256], return_tensors="pt", padding=True)
            masks = (batch.input_ids == tokenizer.mask_token_id).float().argmax(1)
            rows = torch.arange(len(masks))
            logs = torch.log_softmax(model(**batch).logits[rows, masks], -1)
            total += logs[rows, torch.tensor(answers[start:start + 256])].sum().item()
    return total / len(prompts)


rises = []
for relation in sorted(facts):
    if relation == a.relation:
        continue
    lines = (a.relations / f"patterns/{relation}.jsonl").read_text().splitlines()
    templates = [json.loads(line)["pattern"] for line in lines if line.strip()]
    pool = [f for f in (facts[relation][i] for i in known.get(relation, [])) if len(tokenizer.tokenize(f[1])) == 1]
    chosen = draw.sample(pool, min(a.facts, len(pool)))
    prompts = [t.replace("[X]", s).replace("[Y]", "[MASK]") for s, _ in chosen for t in templates]
    answers = [tokenizer.convert_tokens_to_ids(y) for _, y in chosen for _ in templates]
    if prompts:
        rises.append((math.exp(mean_log(before, prompts, answers) - mean_log(after, prompts, answers)) - 1, relation))
rises.sort(reverse=True)
print(f"mean {sum(x for x, _ in rises) / len(rises):+.1%}, within +1 %: {sum(x <= 0.01 for x, _ in rises)} of {len(rises)}, "
      "largest " + ", ".join(f"{r} {x:+.1%}" for x, r in rises[:5]))
