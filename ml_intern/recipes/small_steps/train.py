"""Trains with the `fit` of model.py, and saves the arrays that it returns."""

import argparse
import inspect
import json
import random
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from safetensors.numpy import save_file


def read(folder):
    """The table in a folder: name of a column to array."""
    with pa.OSFile(str(folder / "data-00000-of-00001.arrow")) as source:
        table = pa.ipc.open_stream(source).read_all()
    return {name: np.array(table.column(name).to_pylist()) for name in table.column_names}


def array(value):
    return np.ascontiguousarray(value.detach().cpu().numpy() if hasattr(value, "detach") else value)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--variant", required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--resume", action="store_true")
    args = parser.parse_args()
    settings = json.loads(Path(__file__).with_name("settings.json").read_text())
    config = settings["train"] | (settings["smoke"] if args.smoke else {}) | settings["variants"][args.variant]

    from model import fit

    random.seed(args.seed)
    np.random.seed(args.seed % 2**32)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(args.seed)
    with (args.out / "metrics.jsonl").open("w", buffering=1) as file:

        def log(step, total, train_loss):
            file.write(json.dumps({"step": int(step), "total": int(total), "train_loss": float(train_loss)}) + "\n")

        given = {"config": config, "seed": args.seed, "log": log}
        given |= {"train": read(args.data / "train"), "validation": read(args.data / "validation")}
        asked = list(inspect.signature(fit).parameters)
        if odd := [name for name in asked if name not in given]:
            raise SystemExit(f"fit() has a parameter {odd[0]!r}; it may have {', '.join(given)}")
        model = fit(**{name: given[name] for name in asked})
    if not isinstance(model, dict) or not model:
        raise SystemExit(f"fit() returned a {type(model).__name__}, not a dict of named arrays")
    arrays = {name: array(value) for name, value in model.items()}
    if odd := [name for name, value in arrays.items() if value.dtype.kind not in "fiub"]:
        raise SystemExit(f"fit() returned {odd[0]!r}, which is no array of numbers")
    save_file(arrays, args.out / "model.safetensors")
    (args.out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
