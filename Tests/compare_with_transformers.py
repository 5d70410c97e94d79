#!/usr/bin/env python3
"""Compare knedit's log-probabilities at [MASK] with those of the Transformers library on the same directory.

    pip install torch 'transformers==4.48.*'                      for model.safetensors
    pip install tensorflow-cpu tf-keras 'transformers==4.48.*'    for tf_model.h5, in another environment
    compare_with_transformers.py torch|tensorflow MODEL_DIR [--knedit .build/release/knedit] [--prompts FILE]

Run by hand, in an environment outside the repository; knedit's own tests need no Python. Exits with 1 when any of the
log-probabilities over the whole vocabulary differs by more than 1e-4.
"""
import argparse
import json
import os
import pathlib
import subprocess
import sys

ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
ap.add_argument("framework", choices=["torch", "tensorflow"])
ap.add_argument("model", type=pathlib.Path)
ap.add_argument("--knedit", default=pathlib.Path(__file__).resolve().parent.parent / ".build/release/knedit")
ap.add_argument("--uncased", action="store_true", help="the vocabulary is lower-case")
ap.add_argument("--prompts", type=pathlib.Path, help="a file with one sentence a line")
a = ap.parse_args()
needed = "model.safetensors" if a.framework == "torch" else "tf_model.h5"
if not (a.model / needed).exists():
    sys.exit(f"{a.framework} reads {needed}, which {a.model} lacks; compare with the other framework.")
os.environ["USE_TF" if a.framework == "torch" else "USE_TORCH"] = "0"
os.environ["TF_USE_LEGACY_KERAS"] = "1"
import numpy as np
import transformers

texts = a.prompts.read_text().splitlines() if a.prompts else [
    "The capital of Ireland is [MASK].", "Albert Einstein works in the field of [MASK].", "[MASK] is the language of Chile.",
    "Mozambique, whose capital is [MASK], lies in Africa; it was a Portuguese colony until 1975."]
tokenizer = transformers.BertTokenizer.from_pretrained(a.model, do_lower_case=a.uncased)
size = len(tokenizer)
run = subprocess.run([a.knedit, "predict", *texts, "--model", a.model, "--top", str(size), "--format", "json"],
                     capture_output=True, text=True, check=True)
ids = {}
for line, piece in enumerate((a.model / "vocab.txt").read_text().split("\n")[:size]):
    ids.setdefault(piece, []).append(line)
assert all(len(v) == 1 for v in ids.values()), "every line of vocab.txt differs"

if a.framework == "torch":
    import torch
    model = transformers.BertForMaskedLM.from_pretrained(a.model).eval()
else:
    model = transformers.TFBertForMaskedLM.from_pretrained(a.model)
worst = 0.0
for text, prompt in zip(texts, json.loads(run.stdout)["prompts"]):
    if a.framework == "torch":
        x = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            logits = model(**x).logits[0].double().numpy()
    else:
        x = tokenizer(text, return_tensors="tf")
        logits = model(**x).logits[0].numpy().astype(np.float64)
    row = logits[int(np.argmax(np.asarray(x["input_ids"])[0] == tokenizer.mask_token_id))]
    wanted = row - row.max() - np.log(np.exp(row - row.max()).sum())
    found = np.empty(size)
    for p in prompt["predictions"]:
        found[ids[p["token"]][0]] = np.log(p["probability"])
    difference = np.abs(found - wanted).max()
    worst = max(worst, difference)
    print(f"{difference:.1e}  {prompt['predictions'][0]['token']:12}  {text}")
print(f"largest difference over {len(texts)} prompts and {size} word pieces: {worst:.1e}")
raise SystemExit(int(worst > 1e-4))
