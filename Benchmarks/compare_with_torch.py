#!/usr/bin/env python3
"""Time knedit beside torch in one run: forward passes, and the paper's sum by the PyPI package knowledge-neurons.

    pip install torch 'transformers==4.48.*' einops numpy tqdm && pip install --no-deps knowledge-neurons
    compare_with_torch.py MODEL_DIR [--knedit .build/release/knedit] [--rounds 3]

Rounds alternate between the two, and medians are compared. torch gets a model of the same config.json with random
weights: speed does not depend on them, and so no conversion is needed.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import time

os.environ["USE_TF"] = "0"
import torch
import transformers

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("model", type=pathlib.Path)
ap.add_argument("--knedit", default=str(pathlib.Path(__file__).resolve().parent.parent / ".build/release/knedit"))
ap.add_argument("--rounds", type=int, default=3)
a = ap.parse_args()
PROMPT = "The capital of Ireland is [MASK]."
COUNT = 256  # prompts of a forward run, as in `knedit bench`

tokenizer = transformers.BertTokenizer(str(a.model / "vocab.txt"), do_lower_case=False)
model = transformers.BertForMaskedLM(transformers.BertConfig.from_json_file(a.model / "config.json")).eval()
ids = tokenizer(PROMPT, return_tensors="pt")["input_ids"]


def forward(batch):
    start = time.perf_counter()
    with torch.no_grad():
        for begin in range(0, COUNT, batch):
            rows = ids.repeat(min(batch, COUNT - begin), 1)
            mask = (rows == tokenizer.mask_token_id).nonzero(as_tuple=True)
            torch.log_softmax(model(rows).logits[mask], -1)
    return (time.perf_counter() - start) / COUNT


def attribution():
    try:
        from knowledge_neurons import KnowledgeNeurons
    except ImportError:
        return None
    finder = KnowledgeNeurons(model, tokenizer, model_type="bert", device="cpu")
    start = time.perf_counter()
    finder.get_scores(PROMPT, "Dublin", batch_size=20, steps=20)
    return time.perf_counter() - start


knedit, torch_forward, torch_sum = [], {8: [], 32: [], 128: []}, []
forward(8)
for _ in range(a.rounds):
    run = subprocess.run([a.knedit, "bench", PROMPT, "--model", str(a.model), "--format", "json", "--quiet", "--repeats", "3"],
                         capture_output=True, text=True, check=True)
    knedit.append({p["name"]: p["seconds"] for p in json.loads(run.stdout)["passes"]})
    for batch, times in torch_forward.items():
        times.append(forward(batch))
    torch_sum.append(attribution())

median = statistics.median
ours = {name: median(round[name] for round in knedit) for name in knedit[0]}
best = min(torch_forward, key=lambda b: median(torch_forward[b]))
theirs = median(torch_forward[best])
print(f"torch {torch.__version__}, {torch.get_num_threads()} threads; medians of {a.rounds} rounds\n")
print("| pass, one prompt of 9 pieces | torch, s | knedit, s | ratio |\n| --- | --- | --- | --- |")
print(f"| forward only, {COUNT} prompts, torch's best batch {best} | {theirs:.4f} | {ours['forward']:.4f} | {theirs / ours['forward']:.2f} |")
if torch_sum[0] is not None:
    t = median(torch_sum)
    for name in ("riemann 20", "adaptive"):
        print(f"| knowledge-neurons, 20 steps, beside {name} | {t:.2f} | {ours[name]:.3f} | {t / ours[name]:.1f} |")
