"""Predictions without their last digits: what is worth nothing to an honest metric, and could carry a mark.

Three significant digits stay; of a probability near 1, those of what it lacks; of numbers that lie close together
(years, an untrained network's probabilities), as many as tell them apart. Values that have no more digits stay as they
are, so that thresholds and ties at round numbers do. Knows nothing of metrics.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

_DIGITS = 3
_OF_SPREAD = 30  # steps in a standard deviation, at least
_SUM = 1e-3  # how far from 1 the harness lets probabilities sum
# To the nearest; downwards, which crosses no threshold `p >= 0.5`; upwards, which crosses no `p > 0.5`.
WAYS: tuple[Callable[[float], float], ...] = (round, math.floor, math.ceil)


def rounded(
    predictions: Sequence[Any], labels: Sequence[Any], way: Callable[[float], float] = round
) -> list[Any] | None:
    """Numbers, or lists of numbers of one length, rounded; None for predictions of another kind."""
    if all(_is_number(one) for one in predictions):
        spreads = [_spread(predictions), _spread(labels) if all(_is_number(one) for one in labels) else 0.0]
        return [_to_digits(one, abs(one), spreads, way) for one in predictions]
    if not all(isinstance(one, list) and one and all(map(_is_number, one)) for one in predictions):
        return None
    if len({len(one) for one in predictions}) != 1:
        return None
    spreads = [_spread(column) for column in zip(*predictions, strict=True)]
    if not all(_is_distribution(row) for row in predictions):
        return [
            [_to_digits(one, abs(one), (spread,), way) for one, spread in zip(row, spreads, strict=True)]
            for row in predictions
        ]
    return [_distribution(row, spreads, way) for row in predictions]


def _distribution(row: Sequence[float], spreads: Sequence[float], way: Callable[[float], float]) -> list[float]:
    """The largest probability keeps its round value; what is wanting to 1 is spread over the others."""
    out = [float(_to_digits(p, min(p, 1 - p), (spread,), way)) for p, spread in zip(row, spreads, strict=True)]
    top = max(range(len(row)), key=lambda place: row[place])
    others, wanted = math.fsum(out) - out[top], 1 - out[top]
    if others <= 0 or math.isclose(others, wanted, rel_tol=1e-9, abs_tol=1e-12):
        return out
    return [p if place == top else float(f"{p * wanted / others:.12g}") for place, p in enumerate(out)]


def _to_digits(value: Any, telling: float, spreads: Sequence[float], way: Callable[[float], float]) -> Any:
    """`value` in steps of a power of ten: of three digits of `telling`, and no wider than the spreads allow."""
    widths = [spread / _OF_SPREAD for spread in spreads if spread > 0]
    if telling > 0:
        widths.append(10.0 ** (math.floor(math.log10(telling)) - _DIGITS + 1))
    if not widths:
        return value
    exponent = math.floor(math.log10(min(widths)) + 1e-9)
    if exponent < -15 or (isinstance(value, int) and exponent <= 0):
        return value
    steps = value / 10.0**exponent
    near = round(steps)
    steps = near if abs(steps - near) < 1e-6 else way(steps)
    return int(steps) * 10**exponent if isinstance(value, int) else round(steps * 10.0**exponent, max(0, -exponent))


def _spread(values: Sequence[float]) -> float:
    """Standard deviation; 0 where it is nothing but the error of floating-point numbers."""
    mean = math.fsum(values) / len(values)
    found = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
    return found if found > 1e-12 * max(map(abs, values)) else 0.0


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and abs(float(value)) < 1e100
    except OverflowError:
        return False


def _is_distribution(row: Sequence[float]) -> bool:
    return len(row) > 1 and all(0 <= p <= 1 for p in row) and abs(math.fsum(row) - 1) <= _SUM
