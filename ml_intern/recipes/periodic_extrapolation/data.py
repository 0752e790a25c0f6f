"""Noisy samples of sines (one, or a sum of them): training inside an interval, sealed rows inside it and outside."""

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow as pa

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--raw", type=Path, required=True)
parser.add_argument("--out", type=Path, required=True)
args = parser.parse_args()
settings = json.loads(Path(__file__).with_name("settings.json").read_text())["data"]

generator = np.random.default_rng(settings["seed"])
edge, reach, noise = settings["edge"], settings["reach"], settings["noise"]
frequencies = settings["frequencies"]


def rows(low, high, count, split, noisy):
    x = generator.uniform(low, high, count)
    y = sum(np.sin(frequency * x) / frequency for frequency in frequencies)
    if noisy:
        y = y + generator.normal(0, noise, count)
    return [{"x": float(a), "y": float(b), "split": split} for a, b in zip(x, y, strict=True)]


table = [
    *rows(-edge, edge, settings["train"], "train", True),
    *rows(-edge, edge, settings["test"], "validation", True),
    *rows(-edge, edge, settings["test"], "test:inside", False),
    *rows(edge, reach, settings["test"] // 2, "test:outside", False),
    *rows(-reach, -edge, settings["test"] // 2, "test:outside", False),
]
table = pa.Table.from_pylist(table)
with pa.OSFile(str(args.out / "table.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
    writer.write_table(table)
