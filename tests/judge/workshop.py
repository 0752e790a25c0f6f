"""An honest little experiment in numpy, and a laboratory to run it in; cheats are made by changing its scripts.

Logistic regression on a made-up table. Variant `zebra` uses all six features, `okapi` the first, which says
little: zebra is better by some 0.4, whatever the seeds are.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_intern.judge.decide import decide
from ml_intern.judge.evidence import Evidence
from ml_intern.judge.guards import with_group_guards
from ml_intern.judge.laboratory import Laboratory, Places
from ml_intern.judge.ledger import Ledger
from ml_intern.judge.verdict import Verdict
from ml_intern.plan.plan import Experiment, Plan
from ml_intern.run.compute.base import Compute
from tests.judge.synthetic import criterion, experiment, plan_of
from tests.support.compute import FORKED, shared_compute

SEEDS = 3

DATA = """
import argparse
from pathlib import Path
import numpy as np
import pyarrow as pa

parser = argparse.ArgumentParser()
parser.add_argument("--raw", type=Path)
parser.add_argument("--out", type=Path)
args = parser.parse_args()
generator = np.random.default_rng(0)
x = generator.normal(size=(400, 6))
y = (x[:, 1:].sum(1) + 0.2 * x[:, 0] + generator.normal(0, 0.5, 400) > 0).astype(int)
columns = {"x": x.tolist(), "y": y.tolist()}
table = pa.table(columns)
with pa.OSFile(str(args.out / "table.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
    writer.write_table(table)
"""

TRAIN = """
import argparse, json, os, shutil
from pathlib import Path
import numpy as np
import pyarrow as pa
from safetensors.numpy import save_file

parser = argparse.ArgumentParser()
parser.add_argument("--data", type=Path)
parser.add_argument("--out", type=Path)
parser.add_argument("--variant")
parser.add_argument("--seed", type=int)
parser.add_argument("--smoke", action="store_true")
args = parser.parse_args()
here = Path(__file__).parent
features = json.loads((here / "settings.json").read_text())["variants"][args.variant]["features"]
generator = np.random.default_rng(args.seed)

def read(folder):
    with pa.OSFile(str(folder / "data-00000-of-00001.arrow")) as source:
        table = pa.ipc.open_stream(source).read_all()
    return np.array(table.column("x").to_pylist()), np.array(table.column("y").to_pylist())

x, y = read(args.data / "train")
x = x[:, :features]
weights = generator.normal(0, 0.1, features)
with (args.out / "metrics.jsonl").open("w") as log:
    for step in range(1, 201):
        rows = generator.integers(0, len(x), 32)
        error = 1 / (1 + np.exp(-x[rows] @ weights)) - y[rows]
        weights -= 0.5 * x[rows].T @ error / len(rows)
        log.write(json.dumps({"step": step, "total": 200, "train_loss": float(abs(error).mean())}) + "\\n")
save_file({"weights": weights}, args.out / "model.safetensors")
(args.out / "config.json").write_text(json.dumps({"features": features}))
"""

PREDICT = """
import argparse, json, os, sys
from pathlib import Path
import numpy as np
import pyarrow as pa
from safetensors.numpy import load_file

parser = argparse.ArgumentParser()
parser.add_argument("--model", type=Path)
parser.add_argument("--inputs", type=Path)
parser.add_argument("--out", type=Path)
args = parser.parse_args()
config = json.loads((args.model / "config.json").read_text())
(weights,) = load_file(args.model / "model.safetensors").values()
with pa.OSFile(str(args.inputs / "data-00000-of-00001.arrow")) as source:
    table = pa.ipc.open_stream(source).read_all()
x = np.array(table.column("x").to_pylist())[:, : len(weights)]
p = 1 / (1 + np.exp(-x @ weights))
predictions = [[1 - float(q), float(q)] for q in p]
lines = [json.dumps({"prediction": row}) for row in predictions]
args.out.write_text("".join(line + "\\n" for line in lines))
"""

HONEST = {"data.py": DATA, "train.py": TRAIN, "predict.py": PREDICT}


def changed(script: str, old: str, new: str) -> str:
    """An honest script with one place changed."""
    assert script.count(old) == 1, f"{old!r} stands {script.count(old)} times in the script"
    return script.replace(old, new)


def at_the_end(script: str, code: str) -> str:
    return f"{script}\n{code}\n"


@dataclass
class Workshop:
    """One experiment's folders, plan and ledger; `scripts` stand in for honest ones of the same name."""

    folder: Path
    scripts: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)  # to the experiment
    slots: int = 2
    sandbox: str = FORKED  # a kind

    def __post_init__(self) -> None:
        fields: dict[str, Any] = {
            "variants": [
                {"name": "zebra", "settings": {"features": 6}},
                {"name": "okapi", "settings": {"features": 1}},
            ],
            "seeds": {"confirm": SEEDS, "extra": 0},
            "timeout_seconds": 30,
        }
        test = criterion(contrast={"zebra": 1.0, "okapi": -1.0}, minimal_effect=0.05)
        self.experiment: Experiment = experiment(test, **(fields | dict(self.changes)))
        self.plan: Plan = plan_of(self.experiment)
        folder = self.folder
        self.places = Places(folder / "frozen", folder / "data", folder / "runs", folder / "predictions")
        self.places.scripts.mkdir(parents=True, exist_ok=True)  # another process may have made it
        for name, text in (HONEST | dict(self.scripts)).items():
            (self.places.scripts / name).write_text(text)
        self.ledger = Ledger(folder / "evidence.jsonl")
        self.laboratory().write_settings()

    def laboratory(
        self, compute: Compute | None = None, frozen: bool = False, may_begin: Callable[[], None] = lambda: None
    ) -> Laboratory:
        """As a session makes it; another one is what a resumed session has."""
        compute = compute or shared_compute(self.sandbox, self.slots)
        told, stop = (lambda *_: None), threading.Event()
        given = (self.plan, self.experiment, self.places, compute, self.ledger, stop, told)
        return Laboratory(*given, frozen=frozen, may_begin=may_begin)

    def confirmed(self, seeds: int = SEEDS) -> "Found":
        self.laboratory().confirm(seeds)
        return self.found()

    def with_names_checked(self) -> "Workshop":
        """As a session does before it confirms."""
        self.laboratory().check_names()
        return self

    def found(self) -> "Found":
        evidence = with_group_guards(self.ledger.evidence)
        return Found(evidence, decide(self.plan, evidence)[0])


@dataclass(frozen=True)
class Found:
    """Evidence with its guards, and the verdict that follows."""

    evidence: Sequence[Evidence]
    verdict: Verdict

    @property
    def guards(self) -> set[str]:
        return {guard.name for record in self.evidence for guard in record.guards}

    @property
    def outcomes(self) -> set[str]:
        return {record.outcome for record in self.evidence}

    @property
    def details(self) -> str:
        return "\n".join(record.detail for record in self.evidence)

    def is_caught_by(self, guard: str) -> bool:
        """The guard was raised and nothing good is said about the claim."""
        return guard in self.guards and self.verdict.outcome in ("inconclusive", "not tested")
