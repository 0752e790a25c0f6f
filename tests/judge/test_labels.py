"""Labels that a metric has no value on are refused in words about labels, before anything runs; the best value of every
metric is what it gives to perfect predictions."""

import math
from pathlib import Path
from typing import Any

import pytest
from sklearn.metrics import roc_auc_score

from ml_intern.judge.metrics import OUTSIDE, LabelsError, PredictionError, ceiling, chance_level, metric_names, score
from ml_intern.judge.tables import DataError
from tests.judge.workshop import DATA, Workshop, changed

P = [[0.9, 0.1], [0.2, 0.8], [0.9, 0.1], [0.2, 0.8]]


@pytest.mark.parametrize("name", [name for name in metric_names("classification") if name not in OUTSIDE])
@pytest.mark.parametrize("labels", [[-1, 1, -1, 1], [0, 0.5, 1, 1], [0, math.nan, 1, 1], ["no", "yes", "no", "yes"]])
def test_labels_that_are_no_class_numbers_are_refused_with_what_to_do(name: str, labels: list[Any]) -> None:
    for action in (lambda: score(name, P, labels), lambda: chance_level(name, labels)):
        with pytest.raises(PredictionError, match="labels") as error:
            action()
        odd = labels[0] if labels[0] != 0 else labels[1]
        assert repr(odd) in str(error.value) and "data.py" in str(error.value)


@pytest.mark.parametrize("labels", [[0, 1, 0, 1], [0.0, 1.0, 0.0, 1.0], [False, True, False, True], ["0", "1"] * 2])
def test_class_numbers_of_any_type_are_scored(labels: list[Any]) -> None:
    assert score("accuracy", P, labels) == 1.0 and chance_level("accuracy", labels) == 0.5


PERFECT: dict[str, tuple[list[Any], list[Any]]] = {
    "classification": ([[1.0, 0.0], [0.0, 1.0]], [0, 1]),
    "regression": ([1.0, 2.0], [1.0, 2.0]),
    "sequence": (["the cat sat on the mat", "so it is with us"], ["the cat sat on the mat", "so it is with us"]),
    "language-model": ([{"nll": 0.0, "tokens": 3}], ["the cat"]),
}


@pytest.mark.parametrize("task", PERFECT)
def test_perfect_predictions_reach_the_ceiling_of_every_metric(task: str) -> None:
    for name in metric_names(task):
        best = ceiling(name)
        assert (best is None) == (name in OUTSIDE)
        if best is not None:
            assert score(name, *PERFECT[task]) == pytest.approx(best), name
    assert ceiling("ece:100") == 0.0


@pytest.mark.parametrize(
    ("name", "chance"), [("accuracy", 1.0), ("balanced_accuracy", 1.0), ("f1", 1.0), ("log_loss", 0.0), ("ece", 0.0)]
)
def test_rows_of_the_first_class_alone_have_a_chance_level(name: str, chance: float) -> None:
    assert chance_level(name, [0, 0, 0]) == chance
    assert score(name, P[:3], [0, 0, 0]) != chance


def test_auc_is_the_mean_over_the_classes_that_the_rows_have() -> None:
    three = [[0.75, 0.125, 0.125], [0.125, 0.625, 0.25], [0.25, 0.625, 0.125], [0.5, 0.375, 0.125]]
    # Class 0 against the rest: 3 of its 4 pairs are in order. Class 1: 2 of 4, and a tie.
    assert score("auc", three, [0, 1, 0, 1]) == (0.75 + 0.625) / 2
    assert chance_level("auc", [0, 1, 0, 1]) == chance_level("auc", [0, 2, 0, 2]) == 0.5
    all_there = [0, 1, 2, 1]
    assert score("auc", three, all_there) == roc_auc_score(all_there, three, multi_class="ovr")


@pytest.mark.parametrize(
    ("name", "predictions", "labels", "said"),
    [
        ("auc", P, [1, 1, 1, 1], "two classes"),
        ("r2", [1.0, 2.0], [3.0, 3.0], "differ"),
        ("r2", [0.1, 0.2, 0.3], [0.1, 0.1, 0.1], "differ"),  # their variance is 2e-34
        ("r2", [1e-200, 2e-200], [1e-200, 2e-200], "differ"),
        ("mse", [1.0, 2.0], [3.0, math.nan], "NaN"),
        ("mse", [1.0, 2.0], [3.0, None], "missing"),
        ("mae", [1.0, 2.0], ["three", "four"], "numbers"),
        ("lm_loss", [{"nll": 1.0, "tokens": 1}], [" "], "no text"),
    ],
)
def test_what_no_predictions_could_change_is_told_of_the_labels(
    name: str, predictions: list[Any], labels: list[Any], said: str
) -> None:
    with pytest.raises(LabelsError, match=said):
        score(name, predictions, labels)


# Each class of the sealed rows is a slice.
SLICED = changed(
    DATA,
    'columns = {"x": x.tolist(), "y": y.tolist()}',
    'split = ["train"] * 200 + ["validation"] * 100 + [f"test:of_class_{k}" for k in y[300:]]\n'
    'columns = {"x": x.tolist(), "y": y.tolist(), "split": split}',
)


def sliced(folder: Path, metric: str, **changes: Any) -> Workshop:
    given = {"name": "n", "revision": "r", "inputs": ["x"], "label": "y", "split": "given"}
    metrics = [{"name": "accuracy"}, {"name": metric, "rows": "test:of_class_0"}]
    return Workshop(folder, {"data.py": SLICED}, {"data": given, "metrics": metrics, **changes})


def test_an_honest_run_is_measured_on_sealed_rows_of_the_first_class_alone(tmp_path: Path) -> None:
    found = sliced(tmp_path, "accuracy").confirmed(1)
    assert found.outcomes == {"ok"} and "bad predictions" not in found.guards
    assert {record.metrics["accuracy@test:of_class_0"].chance for record in found.evidence} == {1.0}


@pytest.mark.parametrize("audited", [[], [{"name": "taste", "higher_is_better": True, "best": 1.0}]])
def test_what_cannot_be_measured_on_its_rows_is_told_before_anything_runs(tmp_path: Path, audited: list[Any]) -> None:
    name = "taste" if audited else "auc"
    workshop = sliced(tmp_path, name, audited=audited)
    (workshop.places.scripts / "evaluate.py").touch()
    for action in (workshop.laboratory().smoke, workshop.confirmed):
        with pytest.raises(
            DataError, match=rf"^{name} cannot be measured on test:of_class_0: .*\nWhy: all are"
        ) as told:
            action()
        assert "data.py" in told.value.next and "predict.py" not in str(told.value)
    assert workshop.ledger.evidence == () and not workshop.places.runs.exists()
