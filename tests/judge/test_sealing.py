"""What the scripts under test are given: no sealed row, no label, no name of a variant. And what is still in reach."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ml_intern.judge.splits import Split, draw_split
from ml_intern.judge.tables import read_table
from ml_intern.run.selfcheck import ISOLATING
from tests.judge.workshop import PREDICT, TRAIN, Workshop, at_the_end
from tests.support.compute import require

# Writes down every file below a folder, every row of every table in it, and the process's own surroundings.
LOOK = """
def look(folder):
    files = {str(path): path for path in sorted(Path(folder).rglob("*")) if path.is_file()}
    tables = {}
    for name, path in files.items():
        try:
            with pa.OSFile(name) as source:
                tables[name] = pa.ipc.open_stream(source).read_all().to_pylist()
        except (pa.ArrowInvalid, OSError):
            pass
    texts = {name: path.read_bytes().decode("latin-1") for name, path in files.items() if name not in tables}
    return {"tables": tables, "texts": texts}

import sys
around = {"argv": sys.argv, "cwd": os.getcwd(), "in_cwd": os.listdir("."), "environment": dict(os.environ)}
"""


def seen(workshop: Workshop, run_id: str, folder: str) -> dict[str, Any]:
    """What a run wrote down."""
    return dict(json.loads((workshop.places.runs / run_id / folder / "seen.json").read_text()))


def table_and_split(workshop: Workshop, seed: int) -> tuple[pa.Table, Split]:
    (folder,) = workshop.places.data.glob("*/table")
    table = read_table(folder)
    return table, draw_split(table, workshop.experiment.data, seed)


def train_that_looks(tmp_path: Path) -> Workshop:
    code = f'{LOOK}\n(args.out / "seen.json").write_text(json.dumps({{**look(args.data), **around}}))'
    workshop = Workshop(tmp_path, {"train.py": at_the_end(TRAIN, code)})
    assert workshop.confirmed().guards == set()
    return workshop


def predict_that_looks(tmp_path: Path) -> Workshop:
    looks = '{"inputs": look(args.inputs), "model": look(args.model), "beside": sorted(os.listdir(args.out.parent))}'
    code = f'{LOOK}\nPath("seen.json").write_text(json.dumps({looks} | around))'
    workshop = Workshop(tmp_path, {"predict.py": at_the_end(PREDICT, code)})
    assert workshop.confirmed().guards == set()
    return workshop


def test_training_is_given_its_own_rows_and_no_sealed_one(tmp_path: Path) -> None:
    workshop = train_that_looks(tmp_path)
    for record in workshop.ledger.evidence:
        table, split = table_and_split(workshop, record.seed)
        rows = table.column("x").to_pylist()
        tables = seen(workshop, record.run_id, "out")["tables"]
        given = {tuple(row["x"]) for table in tables.values() for row in table}
        assert given == {tuple(rows[i]) for i in (*split.train, *split.validation)}
        assert given.isdisjoint({tuple(rows[i]) for i in split.test})
        assert {column for table in tables.values() for row in table for column in row} == {"x", "y"}


def test_training_is_given_no_file_but_its_tables(tmp_path: Path) -> None:
    workshop = train_that_looks(tmp_path)
    for record in workshop.ledger.evidence:
        run = seen(workshop, record.run_id, "out")
        names = {Path(name).name for name in run["texts"]}
        assert names == {"state.json", "dataset_info.json"}
        assert {Path(name).parent.name for name in run["tables"]} == {"train", "validation"}
        assert run["in_cwd"] == []


def test_prediction_is_given_inputs_without_labels_in_an_order_that_tells_nothing(tmp_path: Path) -> None:
    workshop = predict_that_looks(tmp_path)
    for record in workshop.ledger.evidence:
        run = seen(workshop, record.run_id, "predict/cwd")
        table, split = table_and_split(workshop, record.seed)
        (inputs,) = run["inputs"]["tables"].values()
        assert {column for row in inputs for column in row} == {"x"}
        rows = table.column("x").to_pylist()
        sealed = {tuple(rows[i]): i for i in (*split.test, *split.validation)}
        order = [sealed[tuple(row["x"])] for row in inputs]
        assert sorted(order) == sorted(sealed.values())
        places = {part: [order.index(row) for row in split.rows(part)] for part in ("test", "validation")}
        assert min(places["test"]) < max(places["validation"])
        assert min(places["validation"]) < max(places["test"])
        assert abs(float(np.corrcoef(order, range(len(order)))[0, 1])) < 0.5


def test_prediction_is_given_neither_the_variant_nor_the_seed(tmp_path: Path) -> None:
    workshop = predict_that_looks(tmp_path)
    for record in workshop.ledger.evidence:
        run = seen(workshop, record.run_id, "predict/cwd")
        text = json.dumps(run)
        assert "zebra" not in text
        assert "okapi" not in text
        assert str(record.seed) not in text
        assert run["in_cwd"] == []
        assert run["beside"] == ["cwd", "inputs", "model", "predictions.jsonl"]
        model = {Path(name).name for name in (*run["model"]["texts"], *run["model"]["tables"])}
        assert model == {"model.safetensors", "config.json"}  # not the log of its training


# Beyond what they are given, scripts in a plain subprocess (tier C) reach whatever the harness reaches. Each of these
# is a cheat that is NOT caught there; the sandboxes with isolation keep it out.
unsealed = pytest.mark.xfail(strict=True, reason="tier C does not isolate: only a sandbox keeps this out")
in_reach = pytest.mark.parametrize("kind", [*ISOLATING, pytest.param("none", marks=unsealed)])


@in_reach
def test_training_cannot_climb_to_the_sealed_rows(tmp_path: Path, kind: str) -> None:
    require(kind)
    code = 'assert not [*args.data.parent.parent.glob("*/table/*.arrow")], "the whole table is in reach"'
    assert Workshop(tmp_path, {"train.py": at_the_end(TRAIN, code)}, sandbox=kind).confirmed(1).outcomes == {"ok"}


@in_reach
def test_prediction_cannot_climb_to_the_labels(tmp_path: Path, kind: str) -> None:
    require(kind)
    code = 'assert not [*args.model.parents[3].glob("data/*/table/*.arrow")], "the labels are in reach"'
    assert Workshop(tmp_path, {"predict.py": at_the_end(PREDICT, code)}, sandbox=kind).confirmed(1).outcomes == {"ok"}


@in_reach
def test_prediction_cannot_climb_to_the_other_runs(tmp_path: Path, kind: str) -> None:
    require(kind)
    code = 'assert not [*args.model.parents[2].glob("*/out/metrics.jsonl")], "other runs are in reach"'
    assert Workshop(tmp_path, {"predict.py": at_the_end(PREDICT, code)}, sandbox=kind).confirmed(1).outcomes == {"ok"}


@in_reach
def test_training_cannot_reach_the_ledger(tmp_path: Path, kind: str) -> None:
    require(kind)
    code = 'assert not (args.out.parents[2] / "evidence.jsonl").exists() or args.variant == "zebra"'
    assert Workshop(tmp_path, {"train.py": at_the_end(TRAIN, code)}, sandbox=kind, slots=1).confirmed(1).outcomes == {
        "ok"
    }
