"""Which of the numbers in a person's sentence a metric has to reach. A share of the rows, a number of layers or another
metric's number stand in the same sentence, and a plan must not take the easiest of them.

Knows nothing of plans. Where the words do not tell, every number that the metric can take remains.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from ml_intern.judge.metrics import OUTSIDE, ceiling, is_metric
from ml_intern.plan.claim import Claim
from ml_intern.plan.folding import fold
from ml_intern.plan.numbers import Located, located

_WORDS = {
    "accuracy": r"accura\w*|correct\w*|right\w*",
    "balanced_accuracy": r"accura\w*",
    "log_loss": r"log[ -]?loss|cross[ -]entropy",
    "mse": r"mse|squared errors?",
    "mae": r"mae|absolute errors?",
    "r2": r"r2|r²|r\^2|r-squared",
    "f1": r"f1|f-1|f[ -]?scores?|f[ -]?measure",
    "wall_seconds": r"seconds|minutes|hours|time",
    "peak_memory_mb": r"mb|megabytes|memory",
    "parameters": r"param\w*|weights",
}
_ERRORS = r"errors?"
# 90 % of the rows, 3 layers, 10 epochs: how it is done, not how well.
_SHARE = re.compile(r"\s?of (?:the|all|its|your|these|those|my|our)? ?\w+")
_COUNTED = re.compile(
    r"[ -]?(?:hidden |training |test )?(?:layers?|epochs?|steps?|rows?|samples?|examples?|images?|texts?|classes|seeds?"
    r"|features?|columns?|units?|neurons?|trees|folds?|runs?|minutes?|hours?|seconds?|days?)\b",
    re.IGNORECASE,
)
_FAR = 1_000  # characters that the end of a clause counts as


def demanded(claim: Claim, metric: str, higher: bool) -> tuple[float, ...]:
    """The values that `metric` may have to reach by the claim's quote."""
    quote = fold(claim.quote)
    found = [(number, _values(number, quote, metric, higher)) for number in located(quote)]
    left = [number for number, values in found if values]
    if metric not in OUTSIDE:
        left = _narrowed(left, [one for one in left if not _is_means(one, quote)])
    left = _narrowed(left, _beside(left, quote, f"{_own(metric)}|{_ERRORS}" if higher else _own(metric)))
    named = [number.readings for one in claim.numbers for number in located(fold(one.text))]
    left = _narrowed(left, [one for one in left if any(_same(one.readings, readings) for readings in named)])
    return tuple(dict.fromkeys(value for number, values in found if number in left for value in values))


def _values(number: Located, quote: str, metric: str, higher: bool) -> tuple[float, ...]:
    """What the number may mean of the metric, if the metric can take it: 5 % errors are an accuracy of 0.95."""
    values = number.readings
    if higher and _nearest(number, quote, _ERRORS) < _nearest(number, quote, _own(metric)):
        values = tuple(1 - value for value in values if 0 < value < 1)
    best = ceiling(metric) if is_metric(metric) else None
    return tuple(value for value in values if best is None or (value <= best if higher else value >= best))


def _is_means(number: Located, quote: str) -> bool:
    right = quote[number.end :]
    return bool(_SHARE.match(right) or _COUNTED.match(right))


def _beside(numbers: Sequence[Located], quote: str, words: str) -> list[Located]:
    """Those that stand nearest to one of `words`; none where there is no such word."""
    distances = {number: _nearest(number, quote, words) for number in numbers}
    least = min(distances.values(), default=math.inf)
    return [number for number, distance in distances.items() if distance == least < math.inf]


def _own(metric: str) -> str:
    base = metric.partition(":")[0]
    return _WORDS.get(base, re.escape(base).replace("_", "[ _-]?"))


def _nearest(number: Located, quote: str, words: str) -> float:
    """How far from the number one of `words` stands, in characters; infinite where none does."""
    named = re.finditer(rf"\b(?:{words})(?!\w)", quote, re.IGNORECASE)
    return min((_distance(number, match.span(), quote) for match in named), default=math.inf)


def _distance(number: Located, place: tuple[int, int], quote: str) -> int:
    begin, end = sorted(((number.start, number.end), place))
    between = quote[begin[1] : end[0]]
    return len(between) + _FAR * len(re.findall(r"[,;:.](?=\s)", between))


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    """80 may be named for 80 %."""
    return any(abs(a - b) <= 1e-9 * max(1.0, abs(a)) for a in one for b in other)


def _narrowed(all_: list[Located], some: list[Located]) -> list[Located]:
    return some or all_
