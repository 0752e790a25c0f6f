"""Inputs that give the label away by themselves, but for noise. Pure functions of arrays and texts.

What reveals it almost to the bit (`clearly`) is told apart from what merely tells it, as the one input of an easy task
may: y = f(x) is monotone on a part of many functions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_NOISE = 0.01  # of the least distance between two classes: how far the rows of one spread
_RESIDUE = 1e-6  # of the label's variance, beside a straight line
_RANKS = 0.999
_SHORT = 4  # characters; a shorter answer stands in many texts by chance
_MOST_CLASSES = 50


def almost_classes(matrix: Any, labels: Any) -> tuple[list[int], list[int]]:
    """Components (columns of `matrix`, rows × components) in which the classes lie apart: those in which each is hardly
    more than a point, and those where ranges do not touch."""
    import numpy as np

    classes, counts = np.unique(labels, return_counts=True)
    if not 1 < len(classes) <= _MOST_CLASSES or counts.min() < 2:
        return [], []
    parts = [matrix[labels == one] for one in classes]
    low, high = np.array([part.min(0) for part in parts]), np.array([part.max(0) for part in parts])
    order = low.argsort(0)
    low, high = np.take_along_axis(low, order, 0), np.take_along_axis(high, order, 0)
    gap = (low[1:] - high[:-1]).min(0)
    spread = (high - low).max(0)
    return _places((gap > 0) & (spread <= _NOISE * gap)), _places(gap > 0)


def almost_numbers(matrix: Any, labels: Any) -> tuple[list[int], list[int]]:
    """Components of which the labels are a straight line, but for rounding; and those that rank the rows as they do."""
    import numpy as np

    if len(labels) < 10 or not labels.std() > 0 or not np.isfinite(labels).all():
        return [], []
    usable = np.isfinite(matrix).all(0) & (np.nan_to_num(matrix).std(0) > 0)
    line = 1 - _correlation(matrix, labels) ** 2
    ranks = _correlation(_ranked(matrix), _ranked(labels[:, None])[:, 0])
    return _places(usable & (line < _RESIDUE)), _places(usable & (abs(ranks) > _RANKS))


def share_inside(texts: Sequence[Any], answers: Sequence[Any]) -> float:
    """Share of the rows whose text holds the answer; 0 where answers are too short for that to say anything."""
    answers = [str(answer).strip() for answer in answers]
    if not answers or sum(map(len, answers)) < _SHORT * len(answers):
        return 0.0
    return sum(answer in str(text) for text, answer in zip(texts, answers, strict=True)) / len(answers)


def _places(found: Any) -> list[int]:
    return [int(place) for place in found.nonzero()[0]]


def _correlation(matrix: Any, values: Any) -> Any:
    import numpy as np

    centred, wanted = matrix - matrix.mean(0), values - values.mean()
    lengths = np.sqrt((centred**2).sum(0) * (wanted**2).sum())
    return np.divide(wanted @ centred, lengths, out=np.zeros(matrix.shape[1]), where=lengths > 0)


def _ranked(matrix: Any) -> Any:
    """Ranks by column, ties at their mean."""
    import numpy as np

    return np.array([_ranks(column) for column in matrix.T]).reshape(matrix.T.shape).T


def _ranks(column: Any) -> Any:
    import numpy as np

    _, places, counts = np.unique(column, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[places]
