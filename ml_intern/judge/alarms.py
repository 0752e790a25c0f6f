"""Too good to be true: sealed scores held against simple predictors and against the paper's own number.

An alarm is no proof and takes nothing out of a verdict; it stands in the record and in the report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ml_intern.judge.evidence import Guard
from ml_intern.judge.metrics import ceiling, fits, higher_is_better
from ml_intern.plan.plan import Experiment, MetricSpec, Plan
from ml_intern.read.numbers import parse_number

_NEARLY_PERFECT = 0.05  # a simple predictor this close to the best leaves nothing to wonder about
_FAR = 0.25  # of a simple predictor's distance from the best


def too_good(metric: MetricSpec, value: float, simple: Mapping[str, float], paper: float | None) -> list[Guard]:
    """An alarm where `value` is perfect and simple predictors (`simple`: name to score) are not nearly so, or are so to
    the last row, as where the inputs give the label away; or where it beats the paper's own number and leaves less than
    a quarter of the simple predictors' errors."""
    best = ceiling(metric.name)
    if best is None or not simple:
        return []
    higher = higher_is_better(metric.name)
    nearest = max(simple.values()) if higher else min(simple.values())
    told = ", ".join(f"a {name} reaches {reached:.3g}" for name, reached in simple.items())
    if math.isclose(value, best, abs_tol=1e-12):
        if math.isclose(nearest, best, abs_tol=1e-12):
            return [
                _alarm(f"{metric.key} is perfect ({value:g}), and so is a simple predictor: is the label in the data?")
            ]
        if abs(best - nearest) < _NEARLY_PERFECT * max(abs(best), 1.0):
            return []
        return [_alarm(f"{metric.key} is perfect ({value:g}); {told}")]
    if paper is None or (value <= paper if higher else value >= paper):
        return []
    if abs(best - value) >= _FAR * abs(best - nearest):
        return []
    return [_alarm(f"{metric.key} is {value:.4g}, better than the paper's {paper:g}; {told}")]


def papers_numbers(plan: Plan, experiment: Experiment) -> dict[str, float]:
    """Metric key to the best value that the paper states for it, where the plan knows one: a test's `target`, else the
    numbers of its claim that the metric can take (a score between 0 and 1 may be stated in percent)."""
    claims = {claim.id: claim for claim in plan.claims}
    found: dict[str, list[float]] = {}
    for test in experiment.tests:
        values = found.setdefault(test.metric.key, [])
        if test.target is not None:
            values.append(test.target)
        elif fits(test.metric.name, experiment.data.task):
            stated = [number for one in claims[test.claim].numbers if (number := parse_number(one.text))]
            values += [value for number in stated if (value := _as_score(test.metric.name, number.value)) is not None]
    better = {test.metric.key: max if test.higher_is_better else min for test in experiment.tests}
    return {key: better[key](values) for key, values in found.items() if values}


def _as_score(metric: str, value: float) -> float | None:
    """A stated number on the metric's own scale; None where it cannot be one. Of a metric without an upper end, or of
    which less is better, any number might mean anything."""
    best = ceiling(metric)
    if best is None or not higher_is_better(metric) or metric == "r2" or value <= 0:
        return None
    if best == 1.0 and 1 < value <= 100:
        return value / 100
    return value if value <= best else None


def _alarm(message: str) -> Guard:
    return Guard(name="too good", message=message, fatal=False)
