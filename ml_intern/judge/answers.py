"""What a run answered on some of its rows, in so few letters that runs with other splits can be held against it.

Two trainings that were apart answer differently, to the last bit, wherever they are not exactly right. Rows are drawn
by their number alone: those that two splits have in common were likely drawn in both. Knows nothing of weights.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

_ROWS = 64
_ENOUGH = 12  # rows in common


def answers(predictions: Mapping[int, Any], labels: Sequence[Any]) -> dict[str, str]:
    """Row number to the first hex digits of the sha256 of what was predicted there; without rows where it was exactly
    right, as whoever learnt the task may be. `labels`: of every row of the table."""
    drawn = sorted(predictions, key=lambda row: hashlib.sha256(str(row).encode()).digest())[:_ROWS]
    return {str(row): _short(predictions[row]) for row in sorted(drawn) if not _is_right(predictions[row], labels[row])}


def compared(one: Mapping[str, str], other: Mapping[str, str]) -> Literal["same", "differ", "too few"]:
    """Whether two runs answered alike. `too few`: rows in common, or different answers on them, to tell."""
    rows = one.keys() & other.keys()
    if any(one[row] != other[row] for row in rows):
        return "differ"
    distinct = len({one[row] for row in rows})
    return "same" if len(rows) >= _ENOUGH and 2 * distinct >= len(rows) else "too few"


def _short(prediction: Any) -> str:
    return hashlib.sha256(json.dumps(prediction, sort_keys=True).encode()).hexdigest()[:8]


def _is_right(prediction: Any, label: Any) -> bool:
    """Also a class with all of the probability, and a number but for rounding."""
    if isinstance(prediction, list) and not isinstance(label, list):
        place = int(label) if isinstance(label, int | float) else -1
        return 0 <= place < len(prediction) and prediction[place] == 1
    if isinstance(prediction, int | float) and isinstance(label, int | float):
        return math.isclose(prediction, label, rel_tol=1e-6, abs_tol=1e-12)
    if isinstance(prediction, str):
        return prediction.strip() == str(label).strip()
    return bool(prediction == label)
