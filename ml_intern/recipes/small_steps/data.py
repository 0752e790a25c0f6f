"""Writes the table that table.py makes."""

import argparse
import inspect
import json
from pathlib import Path

import pyarrow as pa
from table import load

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--raw", type=Path, required=True)
parser.add_argument("--out", type=Path, required=True)
args = parser.parse_args()

settings = json.loads(Path(__file__).with_name("settings.json").read_text())
given = {"raw": args.raw, "settings": settings["data"]}
asked = list(inspect.signature(load).parameters)
if odd := [name for name in asked if name not in given]:
    raise SystemExit(f"load() has a parameter {odd[0]!r}, and nothing to give it: it finds the data itself")
made = load(**{name: given[name] for name in asked})
if not isinstance(made, dict):
    raise SystemExit(f"load() returned a {type(made).__name__}, not a dict with an array for each column")
lists = {name: values.tolist() if hasattr(values, "tolist") else list(values) for name, values in made.items()}
if len({len(values) for values in lists.values()}) != 1:
    raise SystemExit(
        f"load() returned columns of different lengths: { {name: len(values) for name, values in lists.items()} }"
    )
table = pa.table(lists)
with pa.OSFile(str(args.out / "table.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
    writer.write_table(table)
