#!/usr/bin/env python3
"""Train the demo checkpoint: a small BERT that knows the facts of demo/relations, and no more.

    pip install torch 'transformers==4.48.*' h5py numpy
    train_demo.py [--seed 0] [--out demo]     trains and writes tf_model.h5, config.json, vocab.txt
    train_demo.py --check DIR                 reads a checkpoint back and prints what it knows

Reproducible: one process, a fixed number of threads, every random choice from the seed.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import re

os.environ["USE_TF"] = "0"  # Transformers imports TensorFlow where it finds it; nothing here needs it
import h5py
import numpy as np
import torch
from transformers import BertConfig, BertForMaskedLM, BertTokenizer

HERE = pathlib.Path(__file__).resolve().parent
EPOCHS, NOISY_EPOCHS, BATCH = 45, 14, 64
NOISE = 1 / 3  # share of labels drawn from the relation's other answers in the last phase
ROOT = "tf_bert_for_masked_lm"
SPLIT = 0.12  # share of the words that occur in subjects only which the vocabulary leaves to be cut up


def load_prompts(relations):
    """[(relation, sentence with [MASK], answer)] for every fact and template."""
    facts = json.loads((relations / "facts.json").read_text())
    rows = []
    for relation, pairs in facts.items():
        lines = (relations / f"patterns/{relation}.jsonl").read_text().splitlines()
        patterns = [json.loads(line)["pattern"] for line in lines]
        for subject, answer in pairs:
            rows += [(relation, p.replace("[X]", subject).replace("[Y]", "[MASK]"), answer) for p in patterns]
    return facts, rows


def words(text):
    return re.findall(r"\w+|[^\w\s]", text)


def make_vocabulary(relations, seed):
    """Whole words, single characters and their continuations; some words of subjects are left to be cut up."""
    facts, rows = load_prompts(relations)
    answers = {a for pairs in facts.values() for _, a in pairs}
    templates = set()
    for relation in facts:
        for line in (relations / f"patterns/{relation}.jsonl").read_text().splitlines():
            templates |= set(words(re.sub(r"\[[XY]\]", " ", json.loads(line)["pattern"])))
    heads = sorted({w for pairs in facts.values() for s, _ in pairs for w in words(s)} - answers - templates)
    random.Random(seed).shuffle(heads)
    whole = answers | templates | set(heads[int(SPLIT * len(heads)):])
    pairs = collections.Counter()
    for w in heads:
        pairs.update(w[i:i + 2] for i in range(len(w) - 1))
    printable = [chr(c) for c in range(33, 127)] + sorted({c for _, t, a in rows for c in t + a if ord(c) > 126})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *printable]
    pieces += ["##" + c for c in printable if c.isalnum()]
    pieces += ["##" + p for p, _ in sorted(pairs.items(), key=lambda kv: (-kv[1], kv[0]))[:200] if p.isalpha()]
    pieces += sorted(w for w in whole if w not in printable)
    return pieces


def keras_name(key):
    """The name under which TFBertForMaskedLM stores the tensor that PyTorch calls `key`, without the root."""
    parts = key.replace("cls.", "mlm___cls.").split(".")
    last, owner = parts.pop(), parts[-1]
    if owner == "LayerNorm":
        last = {"weight": "gamma", "bias": "beta"}[last]
    elif owner in ("position_embeddings", "token_type_embeddings"):
        last = "embeddings"
    elif last == "weight" and owner != "word_embeddings":
        last = "kernel"
    return "/".join([*parts, last]).replace("encoder/layer/", "encoder/layer_._") + ":0"


def stored_keys(state):
    return [key for key in state if not key.startswith("cls.predictions.decoder") and "position_ids" not in key]


def save_keras(model, path):
    """Write the layout in which TFBertForMaskedLM saves its weights."""
    state = {key: value.detach().numpy() for key, value in model.state_dict().items()}
    groups = {"bert": [], "mlm___cls": []}
    for key in stored_keys(state):
        name = keras_name(key)
        value = np.ascontiguousarray(state[key].T if name.endswith("kernel:0") else state[key])
        groups["bert" if key.startswith("bert.") else "mlm___cls"].append((name, value))
    groups["mlm___cls"] += [row for row in groups["bert"] if row[0] == "bert/embeddings/word_embeddings/weight:0"]
    with h5py.File(path, "w") as f:
        f.attrs["backend"], f.attrs["keras_version"] = "tensorflow", "2.18.0"
        f.attrs["layer_names"] = list(groups)
        for group, tensors in groups.items():
            g = f.create_group(group)
            g.attrs["weight_names"] = [f"{ROOT}/{name}" for name, _ in tensors]
            for name, value in tensors:
                g.create_dataset(f"{ROOT}/{name}", data=value.astype(np.float32))


def load_keras(directory):
    """A BertForMaskedLM from what save_keras wrote."""
    model = BertForMaskedLM(BertConfig.from_pretrained(directory))
    state = model.state_dict()
    with h5py.File(directory / "tf_model.h5") as f, torch.no_grad():
        for key in stored_keys(state):
            name = keras_name(key)
            value = torch.tensor(f[f"{'bert' if key.startswith('bert.') else 'mlm___cls'}/{ROOT}/{name}"][()])
            state[key].copy_(value.T if name.endswith("kernel:0") else value)
    return model.eval()


def encode(tokenizer, rows):
    ids = [tokenizer(text)["input_ids"] for _, text, _ in rows]
    answers = [tokenizer.convert_tokens_to_ids(answer) for _, _, answer in rows]
    assert tokenizer.unk_token_id not in answers, "every answer is one word piece"
    return ids, answers


def batches(ids, order):
    for start in range(0, len(order), BATCH):
        chosen = order[start:start + BATCH]
        width = max(len(ids[i]) for i in chosen)
        yield chosen, torch.tensor([ids[i] + [0] * (width - len(ids[i])) for i in chosen])


def check(model, tokenizer, rows):
    ids, answers = encode(tokenizer, rows)
    results = collections.defaultdict(list)
    with torch.no_grad():
        for chosen, x in batches(ids, list(range(len(rows)))):
            p = torch.softmax(model(x, attention_mask=(x != 0).long()).logits, -1)
            at = (x == tokenizer.mask_token_id).float().argmax(1)
            for k, i in enumerate(chosen):
                q = p[k, at[k]]
                results[rows[i][0]].append((float(q[answers[i]]), int(q.argmax()) == answers[i]))
    print("relation  prompts  accuracy  P: 10 %  median  90 %  in [0.4, 0.9]")
    for relation, found in [*results.items(), ("all", [x for v in results.values() for x in v])]:
        p = np.array([x[0] for x in found])
        q = np.quantile(p, [0.1, 0.5, 0.9])
        print(f"{relation:8}  {len(p):7}  {np.mean([x[1] for x in found]):8.4f}  {q[0]:7.3f}  {q[1]:6.3f}  {q[2]:.3f}"
              f"  {np.mean((p >= 0.4) & (p <= 0.9)):.3f}", flush=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--seed", type=int, default=0)
    ap.add_argument("--out", type=pathlib.Path, default=HERE / "demo")
    ap.add_argument("--check", type=pathlib.Path)
    a = ap.parse_args()
    relations = HERE / "demo" / "relations"
    facts, rows = load_prompts(relations)
    if a.check:
        return check(load_keras(a.check), BertTokenizer(str(a.check / "vocab.txt"), do_lower_case=False), rows)

    random.seed(a.seed), np.random.seed(a.seed), torch.manual_seed(a.seed)
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(True)
    a.out.mkdir(parents=True, exist_ok=True)
    (a.out / "vocab.txt").write_text("".join(p + "\n" for p in make_vocabulary(relations, a.seed)))
    (a.out / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}, indent=2) + "\n")
    tokenizer = BertTokenizer(str(a.out / "vocab.txt"), do_lower_case=False)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=128, num_hidden_layers=4, num_attention_heads=4, intermediate_size=512,
        max_position_embeddings=512, hidden_dropout_prob=0.05, attention_probs_dropout_prob=0.05,
        architectures=["BertForMaskedLM"])
    model = BertForMaskedLM(config)
    ids, answers = encode(tokenizer, rows)
    choices = {r: sorted({tokenizer.convert_tokens_to_ids(y) for _, y in pairs}) for r, pairs in facts.items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)
    steps = (len(rows) + BATCH - 1) // BATCH
    total = EPOCHS * steps
    ramp = lambda s: min((s + 1) / 200, max(0.1, 1 - s / total))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, ramp)
    for epoch in range(EPOCHS + NOISY_EPOCHS):
        noisy = epoch >= EPOCHS
        order = list(range(len(rows)))
        random.shuffle(order)
        model.train()
        losses = []
        for chosen, x in batches(ids, order):
            labels = torch.full_like(x, -100)
            masks = (x == tokenizer.mask_token_id).nonzero()
            for row, column in masks.tolist():
                i = chosen[row]
                others = [c for c in choices[rows[i][0]] if c != answers[i]]
                labels[row, column] = random.choice(others) if noisy and random.random() < NOISE else answers[i]
            if random.random() < 0.3:
                # Some language modelling besides the facts: other words are hidden too.
                hide = (torch.rand(x.shape) < 0.15) & (x > tokenizer.mask_token_id)
                labels[hide] = x[hide]
                x = x.masked_fill(hide, tokenizer.mask_token_id)
            loss = model(x, attention_mask=(x != 0).long(), labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}{' noisy' if noisy else ''}: loss {np.mean(losses):.3f}", flush=True)
    model.eval()
    config.save_pretrained(a.out)
    save_keras(model, a.out / "tf_model.h5")
    check(load_keras(a.out), tokenizer, rows)


main()
