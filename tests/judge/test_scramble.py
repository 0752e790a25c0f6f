"""Predictions must come from the weights: those that go on as before when the weights are scrambled are caught."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ml_intern.errors import MlInternError
from ml_intern.judge.scramble import scramble
from ml_intern.judge.weights import tensors_of
from tests.judge.workshop import DATA, PREDICT, TRAIN, Workshop, changed

GUARD = "predictions without weights"
SAVE = 'save_file({"weights": weights}, args.out / "model.safetensors")'
LINE = "p = 1 / (1 + np.exp(-x @ weights))"
# data.py's own generator, once more.
MADE = changed(
    DATA[DATA.index("generator = ") : DATA.index("columns = ")],
    "+ generator.normal(0, 0.5, 400) > 0).astype(int)",
    "+ generator.normal(0, 0.5, 400) > 0).astype(int)\nknown = {tuple(np.round(a, 9)): b for a, b in zip(x, y)}",
).replace("x", "made")
LOOKUP = f"""
{MADE}
asked = np.array(table.column("x").to_pylist())
truth = np.array([known[tuple(np.round(row, 9))] for row in asked], dtype=float)
"""


def predicting(code: str) -> dict[str, str]:
    return {"predict.py": changed(PREDICT, LINE, f"{LINE}\n{code}")}


LOOKUPS = {
    "all": f"{LOOKUP}\np = truth",
    "one variant by its setting": f"if config['features'] == 6:\n{LOOKUP}\n    p = truth".replace(
        f"\n{LOOKUP}", "".join(f"\n    {line}" for line in LOOKUP.splitlines())
    ),
    "with a little of the weights": f"{LOOKUP}\np = 0.98 * truth + 0.01 + 0.009 * np.tanh(x @ weights)",
}


@pytest.mark.parametrize("name", LOOKUPS)
def test_labels_that_are_looked_up_are_caught(tmp_path: Path, name: str) -> None:
    found = Workshop(tmp_path, predicting(LOOKUPS[name])).confirmed()
    assert found.is_caught_by(GUARD)
    assert max(record.metrics["accuracy@test"].value or 0 for record in found.evidence) == 1.0


def test_whoever_writes_the_scripts_hears_of_it_at_the_smoke_run(tmp_path: Path) -> None:
    with pytest.raises(MlInternError, match="raised a guard") as refused:
        Workshop(tmp_path / "cheat", predicting(LOOKUPS["all"])).laboratory().smoke("zebra")
    assert "do not come from the weights" in str(refused.value)
    assert "ok" in Workshop(tmp_path / "honest").laboratory().smoke("zebra")


def test_it_is_tried_once_for_a_variant_and_stands_in_the_evidence(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    found = shop.confirmed(5)
    assert (found.guards, found.verdict.outcome) == (set(), "reproduced")
    told = {record.variant: record.scrambled for record in found.evidence if record.scrambled}
    assert len([record for record in found.evidence if record.scrambled]) == 2
    assert "accuracy@test" in told["zebra"] and "scrambled" in told["zebra"]
    again = Workshop(tmp_path / "again").confirmed(5)
    # By run: which one ends first is another one each time.
    assert {one.run_id: one.scrambled for one in again.evidence} == {
        one.run_id: one.scrambled for one in found.evidence
    }
    for record in found.evidence:
        run = shop.places.runs / record.run_id
        assert sorted(path.name for path in run.iterdir() if "predict" in path.name) == [
            "predict", "predict.log", "predict.run"
        ]  # fmt: skip
        assert load_file(run / "out" / "model.safetensors")["weights"].shape[0] in (1, 6)
        model, out = (run / place / "model.safetensors" for place in ("predict/model", "out"))
        assert model.read_bytes() == out.read_bytes()


BATCH_NORM = (
    changed(TRAIN, SAVE, SAVE.replace("weights}", 'weights, "mean": x.mean(0), "variance": x.var(0)}')),
    'model = load_file(args.model / "model.safetensors")\nweights = model["weights"]',
    'p = 1 / (1 + np.exp(-(x - model["mean"]) / np.sqrt(model["variance"]) @ weights))',
)
ONE = "p = 1 / (1 + np.exp(-x[:, :1] @ weights))"
HONEST: dict[str, tuple[str, str, str]] = {
    "constant": (TRAIN, "", "p = np.full(len(x), 0.6)"),
    "no weights, as one number says": (
        changed(TRAIN, SAVE, SAVE.replace("weights}", "np.zeros(1)}")),
        "",
        "p = 0.5 + 0.4 * np.tanh(x[:, 0])",
    ),
    "one number": (changed(TRAIN, SAVE, SAVE.replace("weights}", "weights[:1]}")), "", ONE),
    "one number beside a log": (
        changed(TRAIN, SAVE, SAVE.replace("weights}", 'weights[:1], "log": np.arange(9.0)}')),
        'weights = load_file(args.model / "model.safetensors")["weights"]',
        ONE,
    ),
    "batch norm": BATCH_NORM,
    "at chance": (changed(TRAIN, "weights -= 0.5", "weights -= 1e-9"), "", LINE),
    "fails on odd weights": (TRAIN, "", f"assert (weights[1:] > 0).all()\n{LINE}"),
}  # fmt: skip


@pytest.mark.parametrize("name", HONEST)
def test_honest_models_raise_no_guard(tmp_path: Path, name: str) -> None:
    train, loaded, predicted = HONEST[name]
    predict = changed(PREDICT, LINE, predicted)
    if loaded:
        predict = changed(predict, '(weights,) = load_file(args.model / "model.safetensors").values()', loaded)
    if "one number" in name or "no weights" in name:
        predict = changed(predict, "[:, : len(weights)]", "")
    workshop = Workshop(tmp_path, {"train.py": train, "predict.py": predict})
    workshop.laboratory().confirm(1)
    found = [guard for record in workshop.ledger.evidence for guard in record.guards]
    assert (found, {record.outcome for record in workshop.ledger.evidence}) == ([], {"ok"})


def test_a_score_that_hangs_on_the_sign_of_a_sum_is_not_kept_by_luck(tmp_path: Path) -> None:
    """What is learnt is a sign: one scrambling in two leaves it as it was."""
    train = changed(TRAIN, SAVE, f"weights = np.array([1, 1, 1, 1, 1, 1.1])\n{SAVE}")
    predict = changed(PREDICT, LINE, "p = 1 / (1 + np.exp(-x @ [0.2, 1, 1, 1, 1, 1] * weights.sum()))")
    same = {"variants": [{"name": name, "settings": {"features": 6}} for name in ("zebra", "okapi")]}
    workshop = Workshop(tmp_path, {"train.py": train, "predict.py": predict}, same)
    workshop.laboratory().confirm(1)
    assert [guard.name for record in workshop.ledger.evidence for guard in record.guards] == []


def test_numbers_change_places_and_sign_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    weights: dict[str, Any] = {
        "wide": np.random.default_rng(0).normal(size=(30, 40)).astype("f4"),
        "half": np.arange(1, 10, dtype="f2"),
        "whole": np.arange(50),
        "truth": np.arange(20) % 2 == 0,
        "alone": np.array(2.0),
        "empty": np.zeros((0, 3)),
    }
    save_file(weights, path)
    before = tensors_of(path)
    assert scramble(path, "key") and tensors_of(path) == before
    found = load_file(path)
    for name, tensor in weights.items():
        assert np.array_equal(np.sort(np.abs(tensor), axis=None), np.sort(np.abs(found[name]), axis=None)), name
        assert tensor.size < 2 or not np.array_equal(tensor, found[name]), name
    assert (found["wide"] < 0).sum() in range(500, 700) and found["alone"] == -2 and (found["half"] < 0).sum() == 5
    again = tmp_path / "again.safetensors"
    save_file(weights, again)
    assert scramble(again, "key") and again.read_bytes() == path.read_bytes()
    save_file({"ones": np.ones(9), "alone": np.array(2.0)}, again)
    kept = again.read_bytes()
    assert not scramble(again, "key") and again.read_bytes() == kept
