"""Metrics that the harness lacks: an experiment's `evaluate.py`, run by the harness, and the canaries it must survive.

It sees predictions and labels under neutral names, and nothing of variant, seed or run. Who brings a metric could
bring one that flatters; each canary is a question that only an honest one answers rightly.
"""

from __future__ import annotations

import itertools
import json
import math
import os
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_intern.errors import MlInternError
from ml_intern.judge.evidence import Guard
from ml_intern.judge.rounding import WAYS, rounded
from ml_intern.judge.tables import write_table
from ml_intern.plan.plan import AuditedMetric, Experiment
from ml_intern.run.compute.base import Compute
from ml_intern.run.sandbox.warm import libraries_of
from ml_intern.run.spec import Limits, RunSpec

EVALUATOR = "evaluate.py"
_CORRUPTED = (0.25, 0.5, 0.75)  # shares of rows
_SOME_DAY = 1_700_000_000  # the age of all files that evaluate.py sees
_OTHER_AGE = 98_765
_REORDERED = 1e-6  # what sums in another order may differ by
_ENOUGH_ROWS = 2_000
_MOST_PERMUTATIONS = 20
_ROUNDED = 0.02  # of the way from chance to the best: what rounding may move
_SLACK = 0.2  # of the way from chance to the best: how far above chance a score on wrong labels may lie


class EvaluationError(MlInternError):
    """evaluate.py failed, or wrote no finite number for a metric of the plan."""


@dataclass(frozen=True)
class Rows:
    """Predictions and labels, row by row."""

    predictions: Sequence[Any]
    labels: Sequence[Any]


@dataclass(frozen=True)
class Audited:
    """What evaluate.py gave for one run's rows: each metric's number, what it gives one commonplace answer, and what
    the canaries raised."""

    values: dict[str, float]
    chance: dict[str, float]
    raised: tuple[Guard, ...]


class Auditor:
    """Runs one frozen `evaluate.py`. Thread-safe. Each evaluation has a folder of its own with a random name and files
    of one fixed age, which is gone when it ends: nothing in reach says which run it is, or that there were others."""

    def __init__(
        self, experiment: Experiment, scripts: Path, folder: Path, compute: Compute, stop: threading.Event
    ) -> None:
        self._experiment, self._scripts, self._folder = experiment, scripts, folder
        self._compute, self._stop = compute, stop
        self._lock = threading.Lock()
        self._raised: dict[str, tuple[Guard, ...]] = {}

    def audit(self, part: str, rows: Rows) -> Audited:
        """Numbers of one run's `part` of the split. Canaries that need only labels are released once for each part,
        those that ask about this run's own predictions for each run. An evaluator that fails is a canary that died."""
        try:
            values = self.values(rows)
            commonplace = self.values(Rows([_commonplace(self._perfect(rows))] * len(rows.labels), rows.labels))
            raised = [*self._of_the_part(part, rows), *self._of_the_run(rows, values, commonplace)]
        except EvaluationError as error:
            return Audited({}, {}, (Guard(name="canary: fails", message=str(error)[:1000]),))
        return Audited(values, commonplace, tuple(dict.fromkeys(raised)))

    def values(self, rows: Rows, age: int = 0) -> dict[str, float]:
        """Every audited metric by name. `age`: of the files, in seconds since a fixed day. Raises EvaluationError."""
        self._folder.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            return self._evaluate(folder, rows, age)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _perfect(self, rows: Rows) -> list[Any]:
        return as_predictions(rows.labels, self._experiment.data.task)

    def _of_the_run(self, rows: Rows, values: dict[str, float], chance: dict[str, float]) -> list[Guard]:
        """A mark in one variant's predictions, or the place of a row, must not be worth anything."""
        wrong = self.values(_mismatched(rows.predictions, rows.labels))
        moved = self.values(Rows(_shuffled(rows.predictions), _shuffled(rows.labels)))
        guards = []
        for metric in self._experiment.audited:
            name = metric.name
            if told := _above_chance(metric, metric.best, chance[name], wrong[name]):
                guards.append(_canary("labels", name, told))
            if not math.isclose(values[name], moved[name], rel_tol=_REORDERED, abs_tol=1e-9):
                told = f"the same rows in another order give {moved[name]:g} instead of {values[name]:g}"
                guards.append(_canary("order", name, told))
        return [*guards, *self._of_the_digits(rows, values, chance)]

    def _of_the_digits(self, rows: Rows, values: dict[str, float], chance: dict[str, float]) -> list[Guard]:
        """A mark in the last digits, by which one variant's predictions could be marked down. Rounding moves a few rows
        across a threshold or an edge between bins: what counts is a difference that every way of rounding makes."""
        open_ones = list(self._experiment.audited)
        fewest = _fewest(rows.labels, self._experiment.data.task)
        seen: dict[str, list[float]] = {metric.name: [] for metric in open_ones}
        for way in WAYS:
            predictions = rounded(rows.predictions, rows.labels, way)
            if predictions is None or not open_ones:
                return []
            found = self.values(Rows(predictions, rows.labels))
            for metric in open_ones:
                seen[metric.name].append(found[metric.name] - values[metric.name])
            open_ones = [m for m in open_ones if _is_moved(m, values[m.name], chance[m.name], seen[m.name], fewest)]
        return [
            _canary("digits", m.name, f"without their last digits the predictions give {found[m.name]:g},"
            f" with them {values[m.name]:g}") for m in open_ones
        ]  # fmt: skip

    def _of_the_part(self, part: str, rows: Rows) -> tuple[Guard, ...]:
        with self._lock:
            if part not in self._raised:
                self._raised[part] = tuple(self._released(rows))
            return self._raised[part]

    def _released(self, rows: Rows) -> list[Guard]:
        perfect = self._perfect(rows)
        constant = Rows([_commonplace(perfect)] * len(perfect), rows.labels)
        corrupted = [Rows(_corrupted(perfect, share), rows.labels) for share in _CORRUPTED]
        other = Rows(list(reversed(rows.predictions)), rows.labels)
        best, chance = self.values(Rows(perfect, rows.labels)), self.values(constant)
        wrong = self.values(_mismatched(perfect, rows.labels))
        steps = [self.values(one) for one in corrupted]
        first, second = self.values(rows), self.values(other)
        second_again, first_again = self.values(other, _OTHER_AGE), self.values(rows, _OTHER_AGE)
        guards = []
        for metric in self._experiment.audited:
            name = metric.name
            seen = _Seen(best[name], chance[name], wrong[name], [step[name] for step in steps])
            guards += [_canary(kind, name, told) for kind, told in _complaints(metric, seen)]
            if (first[name], second[name]) != (first_again[name], second_again[name]):
                told = "the same predictions in other folders, or later, give another number"
                guards.append(_canary("swapped", name, told))
        return guards

    def _evaluate(self, folder: Path, rows: Rows, age: int) -> dict[str, float]:
        import pyarrow as pa

        inside = folder / "in"
        write_table(pa.table({self._experiment.data.label: list(rows.labels)}), inside / "labels")
        predictions = inside / "predictions.jsonl"
        predictions.write_text("".join(json.dumps({"prediction": p}) + "\n" for p in rows.predictions))
        for path in (*inside.rglob("*"), inside):
            os.utime(path, (_SOME_DAY + age, _SOME_DAY + age))
        (folder / "out").mkdir()
        out = folder / "out" / "metrics.json"
        spec = RunSpec(
            run_id="evaluate",
            script=self._scripts / EVALUATOR,
            arguments=("--predictions", str(predictions), "--labels", str(inside / "labels"), "--out", str(out)),
            cwd=folder / "cwd",
            log=folder / "evaluate.log",
            reads=(self._scripts, inside),
            writes=(folder / "out",),
            warm=libraries_of(self._scripts),
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
    wrong: float
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
    if told := _above_chance(metric, seen.best, seen.chance, seen.wrong):
        out.append(("labels", told))
    course = [seen.best, *seen.steps]
    if any(sign * (after - before) >= 0 for before, after in itertools.pairwise(course)):
        shown = ", ".join(f"{value:g}" for value in course)
        out.append(("corrupted", f"with 0, 25, 50 and 75 % of the answers wrong it gives {shown}: it should get worse"))
    return out


def _above_chance(metric: AuditedMetric, best: float, chance: float, wrong: float) -> str:
    """What is amiss with a number on permuted labels; empty where it is about chance, or worse."""
    sign = 1 if metric.higher_is_better else -1
    if sign * (wrong - chance) <= _SLACK * abs(best - chance):
        return ""
    return f"on permuted labels it gives {wrong:g}, where chance is {chance:g}"


def _is_moved(metric: AuditedMetric, value: float, chance: float, moves: Sequence[float], fewest: int) -> bool:
    """Whether all moves go far to one side: farther than two of the `fewest` rows that weigh together can move it."""
    room = max(abs(metric.best - chance), abs(metric.best - value))
    limit = (_ROUNDED + 2 / fewest) * room
    return min(moves) > limit or max(moves) < -limit


def _fewest(labels: Sequence[Any], task: str) -> int:
    """Rows of the rarest class; all rows where there are no classes."""
    return min(Counter(map(str, labels)).values()) if task == "classification" else len(labels)


def _canary(kind: str, name: str, told: str) -> Guard:
    return Guard(name=f"canary: {kind}", message=f"{name}: {told}")


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


def _shuffled(values: Sequence[Any], seed: int = 0) -> list[Any]:
    import numpy as np

    return [values[place] for place in np.random.default_rng(seed).permutation(len(values))]


def _mismatched(predictions: Sequence[Any], labels: Sequence[Any]) -> Rows:
    """Predictions beside permuted labels; of few rows several permutations one after the other, for what chance gives
    on few rows lies far about."""
    times = min(_MOST_PERMUTATIONS, math.ceil(_ENOUGH_ROWS / len(labels)))
    return Rows([*predictions] * times, [label for seed in range(times) for label in _shuffled(labels, seed)])


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
