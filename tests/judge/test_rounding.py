"""The canary of the last digits: honest metrics pass it on all kinds of rows, who reads a mark there does not."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score

from ml_intern.judge.audit import Auditor, Rows
from ml_intern.judge.metrics import score
from ml_intern.judge.rounding import WAYS, rounded
from tests.judge.synthetic import experiment

Metric = Callable[[Any, Any], float]


class Inside(Auditor):
    """An auditor whose evaluator is a function of this process."""

    def __init__(self, metric: Metric, task: str, best: float, higher: bool) -> None:
        data = {"name": "n", "revision": "r", "inputs": ["x"], "label": "y", "task": task}
        audited = [{"name": "m", "higher_is_better": higher, "best": best}]
        one = experiment(data=data, audited=audited)
        super().__init__(one, Path(), Path(), None, threading.Event())  # type: ignore[arg-type]
        self._metric = metric

    def values(self, rows: Rows, age: int = 0) -> dict[str, float]:
        return {"m": float(self._metric(np.array(rows.predictions), np.array(rows.labels)))}

    def complaints(self, rows: Rows) -> list[str]:
        return [guard.message for guard in self.audit("test", rows).raised if guard.name == "canary: digits"]


def softmax(logits: Any) -> list[list[float]]:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return [row.tolist() for row in powers / powers.sum(1, keepdims=True)]


def classified(kind: str, seed: int) -> Rows:
    """Predictions for 300 rows (60 of `few`) of 2 or 10 classes."""
    g = np.random.default_rng(seed)
    classes, n = (10, 300) if kind in ("ten", "uniform", "votes of ten") else (2, 60 if kind == "few" else 300)
    shares = [0.96, 0.04] if kind == "rare" else [1 / classes] * classes
    y = g.choice(classes, n, p=shares)
    y[:classes] = range(classes)
    sure = {"saturated": 12.0, "uniform": 1e-4, "rare": 1.0}.get(kind, 2.0)
    logits = g.normal(0, 1, (n, classes))
    logits[np.arange(n), y] += 1.5
    p = softmax(sure * logits)
    if kind.startswith("votes"):  # of neighbours: many ties, many values at thresholds
        voters = 5 if classes == 10 else 4
        p = [(np.bincount(g.choice(classes, voters, p=row), minlength=classes) / voters).tolist() for row in p]
    return Rows(p, y.tolist())


def calibration_gap(p: Any, y: Any) -> float:
    """Maximum calibration error over 15 bins."""
    sure, right = p.max(1), p.argmax(1) == y
    bins = (sure * 15).astype(int).clip(0, 14)
    return max(abs(sure[bins == k].mean() - right[bins == k].mean()) for k in set(bins.tolist()))


CLASSIFIED: dict[str, tuple[Metric, float, bool]] = {
    name: (lambda p, y, name=name: score(name, p.tolist(), y.tolist()), best, higher)
    for name, best, higher in [
        ("accuracy", 1.0, True), ("balanced_accuracy", 1.0, True), ("f1", 1.0, True), ("auc", 1.0, True),
        ("log_loss", 0.0, False), ("ece", 0.0, False), ("ece:100", 0.0, False), ("overconfidence", 0.0, False),
    ]
}  # fmt: skip
CLASSIFIED |= {
    "MCE": (calibration_gap, 0.0, False),
    "Brier": (lambda p, y: float(((p - np.eye(p.shape[1])[y]) ** 2).sum(1).mean()), 0.0, False),
    "top 2": (lambda p, y: float(np.mean([k in row.argsort()[-2:] for k, row in zip(y, p, strict=True)])), 1.0, True),
    "at 0.5": (lambda p, y: float(((p[:, 1] >= 0.5) == (y == 1)).mean()), 1.0, True),
    "above 0.5": (lambda p, y: float(((p[:, 1] > 0.5) == (y == 1)).mean()), 1.0, True),
    "recall at 0.25": (lambda p, y: float((p[y == 1, 1] >= 0.25).mean()), 1.0, True),
    "average precision": (lambda p, y: float(average_precision_score(y == 1, p[:, 1])), 1.0, True),
    "surely right": (lambda p, y: float(((p.argmax(1) == y) & (p.max(1) >= 0.75)).mean()), 1.0, True),
}
KINDS = ("two", "ten", "saturated", "uniform", "rare", "few", "votes", "votes of ten")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CLASSIFIED)
def test_an_honest_metric_of_probabilities_passes(name: str, kind: str) -> None:
    metric, best, higher = CLASSIFIED[name]
    for seed in range(4):
        assert Inside(metric, "classification", best, higher).complaints(classified(kind, seed)) == []


def estimated(kind: str, seed: int) -> Rows:
    g = np.random.default_rng(seed)
    y = {
        "years": lambda: g.normal(1987, 11, 300).round(),
        "prices": lambda: np.exp(g.normal(9, 1.5, 300)),
        "counts": lambda: g.poisson(3, 300),
        "tiny": lambda: g.normal(0, 1e-7, 300),
    }.get(kind, lambda: g.normal(0, 1, 300))()
    error = {"prices": y * g.normal(0, 0.2, 300), "exact": y * g.normal(0, 1e-5, 300)}
    found = y + error.get(kind, np.std(y) * g.normal(0, 0.4, 300))
    if kind == "constant":
        found = np.full(300, 0.123456)
    if kind == "hardly learned":
        found = 5.4321 + 1e-5 * found
    return Rows(found.tolist(), y.tolist())


ESTIMATED: dict[str, tuple[Metric, float, bool]] = {
    "MSE": (lambda p, y: float(((p - y) ** 2).mean()), 0.0, False),
    "MAE": (lambda p, y: float(abs(p - y).mean()), 0.0, False),
    "median error": (lambda p, y: float(np.median(abs(p - y))), 0.0, False),
    "R2": (lambda p, y: 1 - float(((p - y) ** 2).sum() / ((y - y.mean()) ** 2).sum()), 1.0, True),
    "rank correlation": (lambda p, y: float(np.nan_to_num(spearmanr(p, y)[0])), 1.0, True),
    "within a tenth": (lambda p, y: float((abs(p - y) <= 0.1 * y.std()).mean()), 1.0, True),
    "sign": (lambda p, y: float(((p > y.mean()) == (y > y.mean())).mean()), 1.0, True),
}


@pytest.mark.filterwarnings("ignore:An input array is constant")
@pytest.mark.parametrize("kind", ["plain", "years", "prices", "counts", "tiny", "exact", "constant", "hardly learned"])
@pytest.mark.parametrize("name", ESTIMATED)
def test_an_honest_metric_of_numbers_passes(name: str, kind: str) -> None:
    metric, best, higher = ESTIMATED[name]
    for seed in range(4):
        assert Inside(metric, "regression", best, higher).complaints(estimated(kind, seed)) == []


def accuracy(p: Any, y: Any) -> float:
    return float((p.argmax(1) == y).mean())


def odd(p: Any, place: int) -> bool:
    """Whether nearly all rows have an odd digit at this place: a variant's mark."""
    return float(np.mean(np.round(p[:, 0] * 10**place).astype(int) % 2)) > 0.9


def marked(place: int) -> Rows:
    rows = classified("two", 0)
    steps = [round(row[0] * 10**place) for row in rows.predictions]
    first = [(step if step % 2 else step - 1 if step > 10**place / 2 else step + 1) / 10**place for step in steps]
    return Rows([[p, 1 - p] for p in first], rows.labels)


@pytest.mark.parametrize("place", [4, 5, 6, 9])
@pytest.mark.parametrize("factor", [0.6, 0.9, 1.1])
def test_who_marks_a_variant_up_or_down_by_its_last_digits_is_caught(place: int, factor: float) -> None:
    def evil(p: Any, y: Any) -> float:
        return accuracy(p, y) * (factor if odd(p, place) else 1.0)

    plain, bearing = classified("two", 0), marked(place)
    assert evil(np.array(bearing.predictions), np.array(bearing.labels)) != accuracy(
        np.array(bearing.predictions), np.array(bearing.labels)
    )
    assert Inside(evil, "classification", 1.0, True).complaints(plain) == []
    assert Inside(evil, "classification", 1.0, True).complaints(bearing)
    assert Inside(accuracy, "classification", 1.0, True).complaints(bearing) == []


@pytest.mark.parametrize(
    ("given", "labels", "found"),
    [
        ([0.12345, -9876.5], [0.0, 9000.0], [0.123, -9880.0]),
        ([0.5, 0.25, 0.857], [0.0, 1.0, 0.0], [0.5, 0.25, 0.857]),
        ([1987.34, 1999.88], [1980, 2000], [1987.3, 1999.9]),
        ([1234567, 7654321], [0, 9000000], [1230000, 7650000]),
        ([True, 3], [1, 3], None),
        (["a", "b"], ["a", "b"], None),
        ([{"nll": 1.0}], ["a"], None),
        ([[1.0, 2.0], [1.0]], [0, 1], None),
        ([[[0.1]]], [0], None),
    ],
)
def test_what_is_rounded_and_how(given: Sequence[Any], labels: Sequence[Any], found: Any) -> None:
    assert rounded(given, labels) == found


@pytest.mark.parametrize("way", WAYS)
def test_probabilities_stay_probabilities_and_the_largest_stays_the_largest(way: Callable[[float], float]) -> None:
    for kind in KINDS:
        rows = classified(kind, 1)
        found = rounded(rows.predictions, rows.labels, way)
        assert found is not None
        score("accuracy", found, rows.labels)  # raises where they are none
        assert np.mean(np.argmax(found, 1) == np.argmax(rows.predictions, 1)) > 0.98
        assert abs(np.array(found) - np.array(rows.predictions)).max() < 0.002
