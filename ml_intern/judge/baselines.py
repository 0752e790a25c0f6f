"""Scores of two simple predictors on a split: what a good score is held against. Knows nothing of the run."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from ml_intern.judge.audit import as_predictions
from ml_intern.judge.metrics import PredictionError, score
from ml_intern.judge.splits import numeric
from ml_intern.plan.plan import DataSpec

_TRAIN_ROWS = 2_000
_SEALED_ROWS = 1_000
_MAX_FEATURES = 5_000
_LEAST_PROBABILITY = 1e-3


class Baselines:
    """A nearest neighbour and a linear probe (ridge regression), fitted once for each split. Thread-safe.

    At most 2,000 training rows and 1,000 sealed ones are taken, drawn by a fixed seed.
    """

    def __init__(self, table: Any, data: DataSpec) -> None:
        self._table, self._data = table, data
        self._lock = threading.Lock()
        self._found: dict[tuple[Sequence[int], Sequence[int]], tuple[dict[str, list[Any]], list[Any]]] = {}

    def scores(self, metric: str, train: Sequence[int], rows: Sequence[int]) -> dict[str, float]:
        """`metric` of each, trained on `train` and scored on `rows`. Empty where the inputs are no numbers, the task is
        no classification or regression, or the metric has no value there."""
        if self._data.task not in ("classification", "regression"):
            return {}
        key = (tuple(train), tuple(rows))
        with self._lock:
            if key not in self._found:
                self._found[key] = self._predict(_some(train, _TRAIN_ROWS), _some(rows, _SEALED_ROWS))
        predictions, wanted = self._found[key]
        try:
            return {name: score(metric, given, wanted) for name, given in predictions.items()}
        except PredictionError:
            return {}

    def _predict(self, train: Sequence[int], rows: Sequence[int]) -> tuple[dict[str, list[Any]], list[Any]]:
        """Predictions of each on `rows`, and what is wanted there."""
        import numpy as np

        given = self._table.take([*train, *rows])
        arrays = [numeric(given, column) for column in self._data.inputs]
        labels = given.column(self._data.label).to_pylist()
        wanted = labels[len(train) :]
        if any(array is None for array in arrays) or sum(array.shape[1] for array in arrays) > _MAX_FEATURES:
            return {}, wanted
        matrix = np.nan_to_num(np.concatenate(arrays, axis=1))
        known, asked = matrix[: len(train)], matrix[len(train) :]
        spread = known.std(0)
        scale = np.where(spread > 0, spread, 1.0)
        known, asked = (known - known.mean(0)) / scale, (asked - matrix[: len(train)].mean(0)) / scale
        classes = self._data.task == "classification"
        targets = as_predictions(labels, self._data.task)
        nearest = [targets[place] for place in _nearest(known, asked)]
        probe = _ridge(known, np.asarray(targets[: len(train)], dtype=float), asked)
        if classes:
            probe = np.maximum(probe, _LEAST_PROBABILITY)
            probe = probe / probe.sum(1, keepdims=True)
        return {"nearest neighbour": nearest, "linear probe": probe.tolist()}, wanted


def _some(rows: Sequence[int], most: int) -> list[int]:
    import numpy as np

    if len(rows) <= most:
        return list(rows)
    return [rows[place] for place in sorted(np.random.default_rng(0).choice(len(rows), most, replace=False))]


def _nearest(known: Any, asked: Any) -> list[int]:
    squared = (known**2).sum(1)[None] - 2 * asked @ known.T
    return [int(place) for place in squared.argmin(1)]


def _ridge(known: Any, targets: Any, asked: Any) -> Any:
    """Least squares with an unpenalised constant and a penalty of 1, in whichever of the two forms is smaller."""
    import numpy as np

    mean = targets.mean(0)
    centred = targets - mean
    if known.shape[1] <= known.shape[0]:
        weights = np.linalg.solve(known.T @ known + np.eye(known.shape[1]), known.T @ centred)
    else:
        weights = known.T @ np.linalg.solve(known @ known.T + np.eye(known.shape[0]), centred)
    return asked @ weights + mean
