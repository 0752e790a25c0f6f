"""Predicts with the `predict` of model.py: one line for each input row."""

import argparse
import json
from pathlib import Path

import numpy as np
from model import predict
from safetensors.numpy import load_file
from train import read

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", type=Path, required=True)
parser.add_argument("--inputs", type=Path, required=True)
parser.add_argument("--out", type=Path, required=True)
args = parser.parse_args()

rows = read(args.inputs)
config = json.loads((args.model / "config.json").read_text())
found = predict(load_file(args.model / "model.safetensors"), rows, config)
found = found.detach().cpu().numpy() if hasattr(found, "detach") else found
count = len(next(iter(rows.values())))
if not hasattr(found, "__len__") or len(found) != count:
    raise SystemExit(f"predict() must return one prediction for each of the {count} rows")
args.out.write_text("".join(json.dumps({"prediction": row}) + "\n" for row in np.asarray(found).tolist()))
