"""Writes the classifier's probabilities for each input row."""

import argparse
import json
from pathlib import Path

import pyarrow as pa
import torch
from safetensors.torch import load_file
from train import build_model

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", type=Path, required=True)
parser.add_argument("--inputs", type=Path, required=True)
parser.add_argument("--out", type=Path, required=True)
args = parser.parse_args()

model = build_model(json.loads((args.model / "config.json").read_text()))
model.load_state_dict(load_file(args.model / "model.safetensors"))
model.eval()
with pa.OSFile(str(args.inputs / "data-00000-of-00001.arrow")) as source:
    pixels = pa.ipc.open_stream(source).read_all().column("pixels").to_pylist()
with torch.no_grad():
    rows = torch.softmax(model(torch.tensor(pixels)).double(), 1).tolist()
args.out.write_text("".join(json.dumps({"prediction": row}) + "\n" for row in rows))
