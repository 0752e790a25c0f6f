"""A little experiment whose scripts need the standard library alone: each is through in some thirty milliseconds.

An animal is six letters, a or b; most of those with many b are horses. Texts stand in an Arrow table one after the
other, where a regular expression finds them; labels are not found that way, so training teaches itself to tell whether
more letters are b than a. Variant `zebra` sees all six, `okapi` the first, which says little.
"""

import base64
import random

import pyarrow as pa

from ml_intern.session.blobs import LONGEST


def _table() -> str:
    generator = random.Random(0)
    animals = ["".join(generator.choice("ab") for _ in range(6)) for _ in range(240)]
    sums = [animal[1:].count("b") + 0.3 * (animal[0] == "b") + generator.gauss(0, 0.5) for animal in animals]
    table = pa.table({"x": [f"<{one}>" for one in animals], "y": [int(one > 2.6) for one in sums]})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return base64.b64encode(sink.getvalue()).decode()


_ARGUMENTS = """
import argparse, json, random, re, struct
from pathlib import Path

parser = argparse.ArgumentParser()
for name in ("--raw", "--out", "--data", "--model", "--inputs"):
    parser.add_argument(name, type=Path)
parser.add_argument("--variant")
parser.add_argument("--seed", type=int)
parser.add_argument("--smoke", action="store_true")
args = parser.parse_args()

def animals(folder, features):
    content = (folder / "data-00000-of-00001.arrow").read_bytes()
    found = re.findall(rb"<([ab]{6})>", content)
    return [[1.0] + [float(letter == 98) for letter in one[:features]] for one in found]

def is_horse(weights, animal):
    return sum(w * x for w, x in zip(weights, animal)) > 0
"""

DATA = f"""{_ARGUMENTS}
import base64
(args.out / "table.arrow").write_bytes(base64.b64decode("{_table()}"))
"""

TRAIN = f"""{_ARGUMENTS}
features = json.loads((Path(__file__).parent / "settings.json").read_text())["variants"][args.variant]["features"]
rows = animals(args.data / "train", features)
generator = random.Random(args.seed)
weights = [generator.gauss(0, 0.1) for _ in range(features + 1)]
with (args.out / "metrics.jsonl").open("w") as log:
    for step in range(1, 401):
        place = generator.randrange(len(rows))
        error = (sum(rows[place][1:]) > features / 2) - is_horse(weights, rows[place])
        weights = [w + 0.1 * error * x for w, x in zip(weights, rows[place])]
        log.write(json.dumps({{"step": step, "total": 400, "train_loss": float(abs(error))}}) + "\\n")
tensor = struct.pack(f"<{{len(weights)}}d", *weights)
about = {{"weights": {{"dtype": "F64", "shape": [len(weights)], "data_offsets": [0, len(tensor)]}}}}
header = json.dumps(about).encode()
(args.out / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + tensor)
(args.out / "config.json").write_text(json.dumps({{"features": features}}))
{"# zebra" * (LONGEST // 7 + 1)}
"""

PREDICT = f"""{_ARGUMENTS}
features = json.loads((args.model / "config.json").read_text())["features"]
content = (args.model / "model.safetensors").read_bytes()
weights = struct.unpack(f"<{{features + 1}}d", content[-8 * (features + 1):])
sure = [0.9 if is_horse(weights, row) else 0.1 for row in animals(args.inputs, features)]
args.out.write_text("".join(json.dumps({{"prediction": [1 - one, one]}}) + "\\n" for one in sure))
"""

# train.py is so long that the events which hold it keep it beside the log.
SCRIPTS = {"data.py": DATA, "train.py": TRAIN, "predict.py": PREDICT}
