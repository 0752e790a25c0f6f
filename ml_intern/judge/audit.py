"""Metrics that the harness lacks: an experiment's `evaluate.py`, run by the harness, and the canaries it must survive.

It sees predictions and labels under neutral names, and nothing of variant, seed or run. Who brings a metric could
bring one that flatters; each canary is a question that only an honest one answers rightly.
"""

from __future__ import annotations

import itertools
import json
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_intern.errors import MlInternError
from ml_intern.judge.evidence import Guard
from ml_intern.judge.tables import write_table
from ml_intern.plan.plan import AuditedMetric, Experiment
from ml_intern.run.compute.base import Compute
from ml_intern.run.spec import Limits, RunSpec

EVALUATOR = "evaluate.py"
_CORRUPTED = (0.25, 0.5, 0.75)  # shares of rows
_SLACK = 0.2  # of the way from chance to the best: how far above chance a score on wrong labels may lie


class EvaluationError(MlInternError):
    """evaluate.py failed, or wrote no finite number for a metric of the plan."""


@dataclass(frozen=True)
class Rows:
    """Predictions and labels, row by row."""

    predictions: Sequence[Any]
    labels: Sequence[Any]


class Auditor:
    """Runs one frozen `evaluate.py`. Thread-safe; the canaries are run once for each part of the split."""

    def __init__(
        self, experiment: Experiment, scripts: Path, folder: Path, compute: Compute, stop: threading.Event
    ) -> None:
        self._experiment, self._scripts, self._folder = experiment, scripts, folder
        self._compute, self._stop = compute, stop
        self._lock = threading.Lock()
        self._turn = itertools.count()
        self._raised: dict[str, tuple[Guard, ...]] = {}

    def values(self, rows: Rows) -> dict[str, float]:
        """Every audited metric by name. Raises EvaluationError."""
        folder = self._folder / f"{next(self._turn):05d}"
        while folder.exists():
            folder = self._folder / f"{next(self._turn):05d}"
        return self._evaluate(folder, rows)

    def canaries(self, part: str, rows: Rows) -> tuple[Guard, ...]:
        """What the canaries raise on `rows`, real predictions of the part: computed at the first call for a part."""
        with self._lock:
            if part not in self._raised:
                self._raised[part] = tuple(self._released(rows))
            return self._raised[part]

    def _released(self, rows: Rows) -> list[Guard]:
        perfect = as_predictions(rows.labels, self._experiment.data.task)
        shifted = [*rows.labels[len(rows.labels) // 2 :], *rows.labels[: len(rows.labels) // 2]]
        mixed = _shuffled(shifted)
        constant = Rows([_commonplace(perfect)] * len(perfect), rows.labels)
        corrupted = [Rows(_corrupted(perfect, share), rows.labels) for share in _CORRUPTED]
        other = Rows(list(reversed(rows.predictions)), rows.labels)
        try:
            best = self.values(Rows(perfect, rows.labels))
            chance = self.values(constant)
            wrong = [self.values(Rows(given, mixed)) for given in (perfect, rows.predictions)]
            steps = [self.values(one) for one in corrupted]
            first, second = self.values(rows), self.values(other)
            second_again, first_again = self.values(other), self.values(rows)
        except EvaluationError as error:
            return [Guard(name="canary: fails", message=str(error)[:1000])]
        guards = []
        for metric in self._experiment.audited:
            name = metric.name
            seen = _Seen(best[name], chance[name], [w[name] for w in wrong], [s[name] for s in steps])
            guards += [
                Guard(name=f"canary: {kind}", message=f"{name}: {told}") for kind, told in _complaints(metric, seen)
            ]
            if (first[name], second[name]) != (first_again[name], second_again[name]):
                told = "the same predictions in other folders, or later, give another number"
                guards.append(Guard(name="canary: swapped", message=f"{name}: {told}"))
        return guards

    def _evaluate(self, folder: Path, rows: Rows) -> dict[str, float]:
        import pyarrow as pa

        inside = folder / "in"
        write_table(pa.table({self._experiment.data.label: list(rows.labels)}), inside / "labels")
        predictions = inside / "predictions.jsonl"
        predictions.write_text("".join(json.dumps({"prediction": p}) + "\n" for p in rows.predictions))
        (folder / "out").mkdir()
        out = folder / "out" / "metrics.json"
        spec = RunSpec(
            run_id="evaluate",
            script=self._scripts / EVALUATOR,
            arguments=("--predictions", str(predictions), "--labels", str(inside / "labels"), "--out", str(out)),
            cwd=folder / "cwd",
            log=folder / "evaluate.log",
            limits=Limits(seconds=self._experiment.timeout_seconds, memory_mb=self._experiment.memory_mb),
        )
        result = self._compute.execute(spec, self._stop)
        if result.outcome != "ok":
            raise EvaluationError(
                f"evaluate.py ended with: {result.outcome}.", f"{result.detail}\n{result.tail[-1500:]}"
            )
        return _read(out, self._experiment.audited)


@dataclass(frozen=True)
class _Seen:
    """What an evaluator gave for the labels themselves, for one commonplace answer, on wrong labels, and for labels
    of which ever more are wrong."""

    best: float
    chance: float
    wrong: Sequence[float]
    steps: Sequence[float]


def _complaints(metric: AuditedMetric, seen: _Seen) -> list[tuple[str, str]]:
    """(kind, words) of each canary that died."""
    out = []
    sign = 1 if metric.higher_is_better else -1
    if not math.isclose(seen.best, metric.best, rel_tol=1e-6, abs_tol=1e-9):
        out.append(("best", f"the labels themselves reach {seen.best:g}, the plan says {metric.best:g}"))
    room = sign * (seen.best - seen.chance)
    if room <= 0:
        out.append(("ignores", f"one answer for all rows reaches {seen.chance:g}, the labels themselves {seen.best:g}"))
        return out
    for value in seen.wrong:
        if sign * (value - seen.chance) > _SLACK * room:
            out.append(("labels", f"on permuted labels it gives {value:g}, where chance is {seen.chance:g}"))
            break
    course = [seen.best, *seen.steps]
    if any(sign * (after - before) >= 0 for before, after in itertools.pairwise(course)):
        shown = ", ".join(f"{value:g}" for value in course)
        out.append(("corrupted", f"with 0, 25, 50 and 75 % of the answers wrong it gives {shown}: it should get worse"))
    return out


def as_predictions(labels: Sequence[Any], task: str) -> list[Any]:
    """Labels in the form of predictions: certain classes, numbers or strings."""
    if task != "classification":
        return list(labels)
    classes = max(2, max(int(one) for one in labels) + 1)
    return [[1.0 if k == int(label) else 0.0 for k in range(classes)] for label in labels]


def _commonplace(predictions: Sequence[Any]) -> Any:
    """The commonest answer; of many different numbers, their mean."""
    if all(isinstance(one, int | float) and not isinstance(one, bool) for one in predictions):
        return math.fsum(predictions) / len(predictions)
    counts: dict[str, int] = {}
    for one in predictions:
        key = json.dumps(one, sort_keys=True)
        counts[key] = counts.get(key, 0) + 1
    return json.loads(max(sorted(counts), key=lambda key: counts[key]))


def _shuffled(values: Sequence[Any]) -> list[Any]:
    import numpy as np

    return [values[place] for place in np.random.default_rng(0).permutation(len(values))]


def _corrupted(predictions: Sequence[Any], share: float) -> list[Any]:
    """The first `share` of the rows, in a fixed random order, get the answer of a row whose answer differs."""
    import numpy as np

    out = list(predictions)
    order = [int(place) for place in np.random.default_rng(1).permutation(len(out))]
    for place in order[: math.ceil(share * len(out))]:
        others = (predictions[(place + step) % len(out)] for step in range(1, len(out)))
        out[place] = next((one for one in others if one != predictions[place]), out[place])
    return out


def _read(path: Path, metrics: Sequence[AuditedMetric]) -> dict[str, float]:
    if not path.is_file() or path.is_symlink() or path.stat().st_size > 1_000_000:
        raise EvaluationError("evaluate.py wrote no metrics.", next='Write a JSON object {"name": number} to --out.')
    try:
        found = json.loads(path.read_text(encoding="utf-8", errors="replace"))
        values = {metric.name: float(found[metric.name]) for metric in metrics}
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise EvaluationError("evaluate.py wrote no number for every audited metric.", f"{error}") from None
    if not all(math.isfinite(value) for value in values.values()):
        raise EvaluationError("evaluate.py wrote a number that is not finite.")
    return values
