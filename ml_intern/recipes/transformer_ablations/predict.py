"""Translates each row greedily, word by word."""

import argparse
import json
from pathlib import Path

import torch
from datasets import load_from_disk
from safetensors.torch import load_file
from train import END, LONGEST, PAD, START, build_model, encode

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", type=Path, required=True)
parser.add_argument("--inputs", type=Path, required=True)
parser.add_argument("--out", type=Path, required=True)
args = parser.parse_args()

config = json.loads((args.model / "config.json").read_text())
model = build_model(config)
model.load_state_dict(load_file(args.model / "model.safetensors"))
model.eval()
words = {number: word for word, number in config["vocabulary"].items()}


def translate(texts):
    source = encode(texts, config["vocabulary"])
    memory = model.model.encoder(input_ids=source, attention_mask=source != PAD)
    tokens = torch.full((len(texts), 1), START)
    for _ in range(LONGEST - 1):
        logits = model(
            encoder_outputs=memory, attention_mask=source != PAD, decoder_input_ids=tokens, use_cache=False
        ).logits[:, -1]
        tokens = torch.cat([tokens, logits.argmax(1, keepdim=True)], 1)
        if (tokens == END).any(1).all():
            break
    for row in tokens[:, 1:].tolist():
        end = row.index(END) if END in row else len(row)
        yield " ".join(words.get(token, "?") for token in row[:end])


rows = list(load_from_disk(str(args.inputs))["german"])
with torch.no_grad(), args.out.open("w", encoding="utf-8") as out:
    for start in range(0, len(rows), 256):
        for text in translate(rows[start : start + 256]):
            out.write(json.dumps({"prediction": text}, ensure_ascii=False) + "\n")
