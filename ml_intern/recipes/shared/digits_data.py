"""The 8×8 grey-scale digits that ship with scikit-learn, as a table of pixels in 0..1 and labels."""

import argparse
from pathlib import Path

import pyarrow as pa
from sklearn.datasets import load_digits

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--raw", type=Path, required=True)
parser.add_argument("--out", type=Path, required=True)
args = parser.parse_args()

digits = load_digits()
pixels = pa.array((digits.data / 16).astype("float32").tolist(), type=pa.list_(pa.float32()))
table = pa.table({"pixels": pixels, "label": pa.array(digits.target.tolist())})
with pa.OSFile(str(args.out / "table.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
    writer.write_table(table)
