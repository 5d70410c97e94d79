#!/usr/bin/env python3
"""Make the small checkpoints, the goldens and the relations that knedit's tests read.

    pip install torch 'transformers==4.48.*' h5py safetensors numpy
    make_fixtures.py [--out DIR] [--seed 0]

One tiny BERT with random weights (2 layers, hidden 16, 2 heads, 32 neurons a layer) is written in every layout
that knedit reads. golden.json holds what Transformers says of it in double precision, and attributions computed
here by automatic differentiation, which shares no code with knedit.
"""
import argparse
import json
import pathlib
import shutil
import struct

import h5py
import numpy as np
import torch
from safetensors.torch import save_file
from transformers import BertConfig, BertForPreTraining, BertTokenizer

HERE = pathlib.Path(__file__).resolve().parent
parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--out", type=pathlib.Path, default=HERE)
parser.add_argument("--seed", type=int, default=0)
arguments = parser.parse_args()
OUT = arguments.out
torch.manual_seed(arguments.seed)
torch.set_num_threads(1)

# --- vocabulary, relations and texts, all made up here -----------------------------------------------------
LETTERS = "abcdefghijklmnopqrstuvwxyz"
TOWNS = ["Aster", "Bremel", "Corin", "Dovar", "Elmer"]
COLOURS = ["brown", "black", "white", "red", "green"]
WORDS = ["the", "of", "is", "in", "a", "and", "capital", "seat", "land", "rules", "bird", "feathers", "are",
         "coat", "wears", "robin", "swan", "crow", "governs", "from"]
VOCABULARY = (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", ".", ","] + list(LETTERS)
              + ["##" + letter for letter in LETTERS] + TOWNS + COLOURS + WORDS)
RELATIONS = {
    "R1": {
        "label": "capital",
        "patterns": ["the capital of [X] is [Y] .", "[Y] is the capital of [X] .",
                     "[Y] rules the land of [X] .", "the seat of [X] is in [Y] ."],
        "facts": list(zip(["orvia", "tamel", "quend", "lisk", "borda"], TOWNS)),
    },
    "R2": {
        "label": "colour of feathers",
        "patterns": ["the feathers of a [X] are [Y] .", "a [X] is a [Y] bird .",
                     "the [X] wears a [Y] coat .", "[Y] feathers are from the [X] ."],
        "facts": list(zip(["wren", "crow", "swan", "robin", "finch"], COLOURS)),
    },
}
TEXTS = [
    ("the capital of orvia is [MASK] .", "Aster"),
    ("[MASK] is the capital of tamel .", "Bremel"),
    ("the seat of quend is in [MASK] .", "Corin"),
    ("a crow is a [MASK] bird , and a swan is white .", "black"),
    ("the robin wears a [MASK] coat .", "red"),
    ("[MASK] feathers are from the finch .", "green"),
]
HIDDEN, NEURONS, LAYERS, HEADS = 16, 32, 2, 2

config = BertConfig(
    vocab_size=len(VOCABULARY), hidden_size=HIDDEN, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
    intermediate_size=NEURONS, max_position_embeddings=512, type_vocab_size=2, hidden_act="gelu",
    layer_norm_eps=1e-12, initializer_range=0.3, hidden_dropout_prob=0.1, attention_probs_dropout_prob=0.1)
CONFIG_TEXT = json.dumps({
    "architectures": ["BertForMaskedLM"], "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1, "hidden_size": HIDDEN, "initializer_range": 0.3,
    "intermediate_size": NEURONS, "layer_norm_eps": 1e-12, "max_position_embeddings": 512,
    "model_type": "bert", "num_attention_heads": HEADS, "num_hidden_layers": LAYERS, "pad_token_id": 0,
    "position_embedding_type": "absolute", "type_vocab_size": 2, "vocab_size": len(VOCABULARY)}, indent=2) + "\n"

model = BertForPreTraining(config).eval()
with torch.no_grad():
    for name, parameter in model.named_parameters():
        # Transformers starts biases at 0 and normalisations at 1, with which a forgotten one would not show.
        if parameter.ndim == 1:
            parameter.add_(0.3 * torch.randn_like(parameter))
for parameter in model.parameters():
    parameter.requires_grad_(False)
weights = {name: value.detach().clone() for name, value in model.state_dict().items()}
EXTRA = ("bert.pooler.", "cls.seq_relationship.")
TIED = ("cls.predictions.decoder.weight", "cls.predictions.decoder.bias")
plain = {n: v for n, v in weights.items() if not n.startswith(EXTRA) and n not in TIED}


def directory(name):
    path = OUT / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    (path / "config.json").write_text(CONFIG_TEXT)
    (path / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    return path


class SmallFile(h5py.File):
    """A file in the newer, smaller HDF5 format, without the times that would make each run's bytes differ."""

    def __init__(self, path):
        access, creation = h5py.h5p.create(h5py.h5p.FILE_ACCESS), h5py.h5p.create(h5py.h5p.FILE_CREATE)
        access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
        creation.set_obj_track_times(False)
        super().__init__(h5py.h5f.create(bytes(path), h5py.h5f.ACC_TRUNC, fcpl=creation, fapl=access))

    def add(self, path, data=None, **options):
        creation = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
        creation.set_obj_track_times(False)
        parts = path.split("/")
        for depth in range(1, len(parts)):
            group = "/".join(parts[:depth])
            if group not in self:
                h5py.h5g.create(self.id, group.encode(), gcpl=creation)
        if parts[-1]:
            self.create_dataset(path, data=data, **options)


# --- Keras' layout, as TFBertForMaskedLM and TFBertForPreTraining write it ---------------------------------
def keras_name(name):
    """Keras' path of a tensor with PyTorch's name."""
    head, _, last = name.rpartition(".")
    head = head.replace("cls.seq_relationship", "nsp___cls.seq_relationship")
    head = head.replace("cls.predictions", "mlm___cls.predictions").replace("layer.", "layer_._")
    if head.endswith("word_embeddings"):
        last = "weight"
    elif head.endswith("_embeddings"):
        last = "embeddings"
    elif head.endswith("LayerNorm"):
        last = {"weight": "gamma", "bias": "beta"}[last]
    elif last == "weight":
        last = "kernel"
    return head.replace(".", "/").replace("layer_/_", "layer_._") + f"/{last}:0"


def keras(name, root, tensors, small=False, compressed=False):
    path = directory(name)
    groups = {"bert": [], "mlm___cls": [], "nsp___cls": []}
    for torch_name, value in tensors.items():
        target = keras_name(torch_name)
        array = value.numpy().T if target.endswith("kernel:0") else value.numpy()
        groups[target.split("/")[0]].append((target, np.ascontiguousarray(array)))
    groups["mlm___cls"] += [item for item in groups["bert"] if item[0].startswith("bert/embeddings/")]
    groups = {group: items for group, items in groups.items() if items}
    # Published files have the older file format.
    small = small or compressed
    with SmallFile(path / "tf_model.h5") if small else h5py.File(path / "tf_model.h5", "w") as file:
        def text(values):
            # Both ways of storing text occur in published files.
            return np.array(values, dtype="S") if compressed else values
        file.attrs["backend"], file.attrs["keras_version"] = "tensorflow", "2.15.0"
        file.attrs["layer_names"] = text(list(groups))
        for group, items in groups.items():
            for target, array in items:
                options = {}
                if compressed and array.ndim == 2:
                    chunks = (min(array.shape[0], 128 if "embeddings" in target else 8), min(array.shape[1], 16))
                    options = {"chunks": chunks, "compression": "gzip", "compression_opts": 9, "shuffle": True}
                if small:
                    file.add(f"{group}/{root}/{target}", array, **options)
                else:
                    file[f"{group}/{root}/{target}"] = array
            file[group].attrs["weight_names"] = text([f"{root}/{target}" for target, _ in items])
        if not small:
            file.create_group("top_level_model_weights").attrs["weight_names"] = []
    return path


masked = keras("keras", "tf_bert_for_masked_lm", plain)
(masked / "tokenizer_config.json").write_text('{"do_lower_case": false}\n')
keras("keras-pretraining", "tf_bert_for_pre_training_2", {n: v for n, v in weights.items() if n not in TIED},
      small=True)
keras("keras-compressed", "tf_bert_for_masked_lm", plain, compressed=True)


# --- HDF5 with PyTorch's names ------------------------------------------------------------------------------
def flat(name, tensors, dtype, nested=False, transposed=False, rename=None, lossy=()):
    path = directory(name)
    with SmallFile(path / "tf_model.h5") if nested else h5py.File(path / "tf_model.h5", "w") as file:
        for key, value in tensors.items():
            array = value.numpy()
            if transposed and array.ndim == 2 and "embeddings" not in key:
                array = np.ascontiguousarray(array.T)
            if rename:
                key = rename(key)
            if key in lossy:
                file.create_dataset(key, data=array.astype(dtype), chunks=array.shape, scaleoffset=4)
            elif nested:
                file.add(key.replace(".", "/"), array.astype(dtype))
            else:
                file[key] = array.astype(dtype)


def old_names(name):
    """The spelling of the first PyTorch releases."""
    if "LayerNorm" in name:
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    return name.replace("cls.predictions.bias", "cls.predictions.decoder.bias")


flat("flat-torch", {n: v for n, v in weights.items() if not n.startswith(EXTRA)}, "<f4")
flat("flat-transposed", plain, "<f4", nested=True, transposed=True, rename=old_names)
flat("flat-half", plain, "<f2")
flat("flat-double", plain, ">f8", nested=True)
flat("flat-lossy", plain, "<f4", lossy=["bert.encoder.layer.1.output.dense.weight"])

# --- a few kilobytes that claim to be a model of terabytes ----------------------------------------------------
path = directory("gigantic")
gigantic = {"hidden_size": 1 << 20, "intermediate_size": 1 << 21, "vocab_size": (1 << 22) - 1,
            "num_hidden_layers": 1, "num_attention_heads": 1}
(path / "config.json").write_text(json.dumps({**json.loads(CONFIG_TEXT), **gigantic}, indent=2) + "\n")
sizes = {HIDDEN: 1 << 20, NEURONS: 1 << 21, len(VOCABULARY): (1 << 22) - 1}
with SmallFile(path / "tf_model.h5") as file:
    for key, value in plain.items():
        if "layer.1" not in key:
            shape = [sizes.get(extent, extent) for extent in value.shape]
            file.add(key, shape=shape, dtype="<f4", chunks=tuple(min(extent, 1024) for extent in shape))

# --- one HDF5 file of everything unusual ----------------------------------------------------------------------
with SmallFile(OUT / "oddities.h5") as file:
    numbers = np.array([[0, 0.5, -1.25], [3, -0.0078125, 65504]])
    for name, dtype in (("half", "<f2"), ("single", "<f4"), ("single-big-endian", ">f4"), ("double", "<f8"),
                        ("double-big-endian", ">f8"), ("integers", "<i4")):
        file.add(f"types/{name}", numbers.astype(dtype))
    file.add("types/compressed", numbers.astype("<f4"), chunks=(1, 2), compression="gzip", fletcher32=True)
    file.add("types/scalar", np.float32(7))
    file.add("types/empty", np.zeros((0, 3), "<f4"))
    file.add("links/")
    file["links/again"] = file["types"]
    file["links/ring"] = file["links"]
    file["links/soft"] = h5py.SoftLink("/types/half")
    file["links/dangling"] = h5py.SoftLink("/nowhere")
    file["links/elsewhere"] = h5py.ExternalLink("other.h5", "/")
    # A few hundred bytes that claim four terabytes, and values that lie in another file.
    file.add("hostile/absurd", shape=(1 << 20, 1 << 20), dtype="<f4", chunks=(1 << 10, 1 << 10))
    file.add("hostile/external", shape=(2,), dtype="<f4", external=[("elsewhere.bin", 0, 8)])
    attributes = file["types"].attrs
    attributes["variable"] = "Ålesund"
    attributes["variable-list"] = ["one", "", "drei"]
    attributes["fixed"] = np.bytes_("plain")
    attributes["fixed-list"] = np.array(["a", "long one"], dtype="S")
    attributes["none"] = []
    attributes["number"] = 3
    attributes.create("not-utf-8", np.bytes_(b"\xff\xfe"))

# --- datasets that claim more than is stored ---------------------------------------------------------------
with h5py.File(OUT / "lies.h5", "w", libver="earliest", track_times=False) as file:
    creation = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    creation.set_layout(h5py.h5d.COMPACT)
    h5py.h5d.create(file.id, b"compact", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((777,)), dcpl=creation)
    file["contiguous"] = np.ones(778, "<f4")
    file.create_dataset("chunked", data=np.ones(779, "<f4"), chunks=(779,), compression="gzip")
    length = file["chunked"].id.get_chunk_info(0).size
# The older file format has no checksums over extents, nor over what the index of chunks says of their lengths.
content = bytearray((OUT / "lies.h5").read_bytes())
for told, claimed in ((777, 100_000), (778, 100_000), (779, 1 << 38)):
    # An extent comes twice, as it is and as the most that it may be.
    place = content.index(struct.pack("<QQ", told, told))
    content[place:place + 16] = struct.pack("<QQ", claimed, claimed)
# The first entry of an index of chunks begins with the chunk's length.
place = content.index(b"TREE\x01") + 24
assert struct.unpack_from("<I", content, place) == (length,)
struct.pack_into("<I", content, place, 0xffffffff)
(OUT / "lies.h5").write_bytes(content)

# --- safetensors --------------------------------------------------------------------------------------------
for name, dtype in (("safetensors", torch.float32), ("safetensors-f16", torch.float16),
                    ("safetensors-bf16", torch.bfloat16)):
    path = directory(name)
    save_file({n: v.to(dtype).contiguous() for n, v in plain.items()}, path / "model.safetensors",
              metadata={"format": "pt"})

# --- relations ----------------------------------------------------------------------------------------------
relations = OUT / "relations"
shutil.rmtree(relations, ignore_errors=True)
(relations / "patterns").mkdir(parents=True)
for relation, content in RELATIONS.items():
    lines = [json.dumps({"pattern": pattern}) for pattern in content["patterns"]]
    (relations / "patterns" / f"{relation}.jsonl").write_text("\n".join(lines) + "\n")
(relations / "facts.json").write_text(json.dumps({r: c["facts"] for r, c in RELATIONS.items()}, indent=1) + "\n")
(relations / "labels.json").write_text(json.dumps({r: c["label"] for r, c in RELATIONS.items()}, indent=1) + "\n")

# --- goldens ------------------------------------------------------------------------------------------------
model.double()
tokenizer = BertTokenizer(str(masked / "vocab.txt"), do_lower_case=False)


def answer_logits(ids, position, layer=None, activations=None):
    """Logits at one position, the neurons of one layer replaced there by `activations` [points, neurons]."""
    handle = None
    if layer is not None:
        def replace(_, __, output):
            output = output.clone()
            output[:, position] = activations
            return output
        handle = model.bert.encoder.layer[layer].intermediate.register_forward_hook(replace)
    hidden = model.bert(ids).last_hidden_state[:, position]
    if handle is not None:
        handle.remove()
    return model.cls.predictions(hidden)


def neuron_activations(ids, position):
    """Activations after GELU at one position, [layers, neurons]."""
    seen = []
    handles = [layer.intermediate.register_forward_hook(lambda _, __, out: seen.append(out[0, position]))
               for layer in model.bert.encoder.layer]
    model.bert(ids)
    for handle in handles:
        handle.remove()
    return torch.stack(seen)


def attributions(ids, position, answer, points, shares):
    """Activation times the weighted sum of dP/dactivation along the path from 0, [layers, neurons]."""
    activations = neuron_activations(ids, position)
    points, shares = torch.tensor(points)[:, None], torch.tensor(shares)[:, None]
    result = []
    for layer in range(LAYERS):
        path = (points * activations[layer]).requires_grad_(True)
        logits = answer_logits(ids.expand(len(points), -1), position, layer, path)
        probability = torch.softmax(logits, -1)[:, answer].sum()
        (gradient,) = torch.autograd.grad(probability, path)
        result.append((activations[layer] * (shares * gradient).sum(0)).tolist())
    return result


nodes, node_weights = np.polynomial.legendre.leggauss(48)
RULES = {
    "right20": (np.arange(1, 21) / 20, np.full(20, 1 / 20)),
    "left20": (np.arange(0, 20) / 20, np.full(20, 1 / 20)),
    "exact": ((nodes + 1) / 2, node_weights / 2),
}


def rounded(values):
    """Nine digits, which is far beyond what float32 is compared with."""
    return [rounded(value) for value in values] if isinstance(values, list) else float(f"{values:.9g}")


golden = []
for text, answer in TEXTS:
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    (position,) = (ids[0] == tokenizer.mask_token_id).nonzero()[0].tolist()
    answer_id = tokenizer.convert_tokens_to_ids(answer)
    assert answer_id != tokenizer.unk_token_id and tokenizer.unk_token_id not in ids
    log_probabilities = torch.log_softmax(answer_logits(ids, position)[0], -1)
    golden.append({
        "text": text, "ids": ids[0].tolist(), "mask": position, "answer": answer, "answer_id": answer_id,
        "log_probabilities": rounded(log_probabilities.tolist()),
        "activations": rounded(neuron_activations(ids, position).tolist()),
        "attributions": {name: rounded(attributions(ids, position, answer_id, *rule)) for name, rule in RULES.items()}})
(OUT / "golden.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")

total = sum(file.stat().st_size for file in OUT.rglob("*") if file.is_file())
print(len(VOCABULARY), "word pieces;", total, "bytes in", OUT)
