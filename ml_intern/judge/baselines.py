"""Scores of two simple predictors on a split: what a perfect score is held against. Knows nothing of the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ml_intern.judge.audit import as_prediction
from ml_intern.judge.metrics import score
from ml_intern.judge.splits import numeric
from ml_intern.plan.plan import DataSpec

_TRAIN_ROWS = 4_000


def baselines(metric: str, table: Any, data: DataSpec, train: Sequence[int], rows: Sequence[int]) -> dict[str, float]:
    """`metric` of a nearest neighbour and of a linear probe, trained on `train` and scored on `rows`. Empty where the
    inputs are no numbers or the task is no classification or regression."""
    import numpy as np

    arrays = [numeric(table, column) for column in data.inputs]
    if data.task not in ("classification", "regression") or any(array is None for array in arrays):
        return {}
    matrix = np.concatenate([array for array in arrays if array is not None], axis=1)
    labels = table.column(data.label).to_pylist()
    train = list(train)[:_TRAIN_ROWS]
    spread = matrix[train].std(0)
    matrix = (matrix - matrix[train].mean(0)) / np.where(spread > 0, spread, 1.0)
    given, wanted = [labels[row] for row in train], [labels[row] for row in rows]
    out = {}
    for name, model in _models(data.task).items():
        model.fit(matrix[train], given)
        found = model.predict(matrix[list(rows)]).tolist()
        out[name] = score(metric, [as_prediction(one, labels, data.task) for one in found], wanted)
    return out


def _models(task: str) -> dict[str, Any]:
    from sklearn.linear_model import Ridge, RidgeClassifier
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    if task == "classification":
        return {"nearest neighbour": KNeighborsClassifier(1), "linear probe": RidgeClassifier()}
    return {"nearest neighbour": KNeighborsRegressor(1), "linear probe": Ridge()}
