"""Which values of which seeds a test compares, and the effect in each seed. Judges nothing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from ml_intern.judge.evidence import Evidence
from ml_intern.judge.metrics import ceiling, is_metric
from ml_intern.plan.plan import ClaimTest, Experiment


@dataclass(frozen=True)
class Pairs:
    """Values of each variant, by seed, for one test; `missing` says which seeds lack a value and why; `measured`
    counts the seeds in which no crash stands in for a value."""

    seeds: tuple[int, ...]
    values: dict[str, tuple[float, ...]]
    effects: tuple[float, ...]
    missing: tuple[str, ...]
    measured: int
    trust: str


def pair(experiment: Experiment, test: ClaimTest, records: Iterable[Evidence]) -> Pairs:
    """What the records say for the test; where the plan says so, a crash counts as the worst value that was reached."""
    by_seed: dict[int, dict[str, Evidence]] = {}
    for run in records:
        by_seed.setdefault(run.seed, {})[run.variant] = run
    values: dict[str, list[float]] = {name: [] for name in test.contrast}
    seeds, effects, missing = [], [], []
    trust, measured = "harness", 0
    for seed in sorted(by_seed):
        found: dict[str, float] = {}
        crashed = False
        for name in test.contrast:
            record = by_seed[seed].get(name)
            value, why, level = _value(record, test)
            trust = level if level != "harness" else trust
            if value is None and record is not None and experiment.crash == "worst":
                value, crashed = _worst(test, by_seed), True
            if value is None:
                missing.append(f"seed {seed}, {name}: {why}")
            else:
                found[name] = value
        if len(found) == len(test.contrast):
            seeds.append(seed)
            for name, value in found.items():
                values[name].append(value)
            effects.append(_effect(test, found))
            measured += not crashed
    by_name = {name: tuple(row) for name, row in values.items()}
    return Pairs(tuple(seeds), by_name, tuple(effects), tuple(missing), measured, trust)


def _value(record: Evidence | None, test: ClaimTest) -> tuple[float | None, str, str]:
    if record is None:
        return None, "it was not run", "harness"
    measured = record.metrics.get(test.metric.key)
    if measured is None or measured.value is None or not math.isfinite(measured.value):
        return None, record.detail or record.outcome, "harness"
    return measured.value, "", measured.trust


def _worst(test: ClaimTest, by_seed: dict[int, dict[str, Evidence]]) -> float | None:
    """The worst value that any run of the experiment reached: what a crash counts as where the plan says so."""
    all_values = [_value(record, test)[0] for runs in by_seed.values() for record in runs.values()]
    finite = [value for value in all_values if value is not None]
    if not finite:
        return None
    return min(finite) if test.higher_is_better else max(finite)


def _effect(test: ClaimTest, values: dict[str, float]) -> float:
    """Positive on the claimed side."""
    if test.kind == "value":
        return values[next(iter(test.contrast))] - (test.target or 0.0)
    total = math.fsum(weight * _transformed(test, values[name]) for name, weight in test.contrast.items())
    if test.kind == "threshold":
        total -= test.target or 0.0
    if test.kind in ("failure", "equivalence", "measurement"):
        return total
    return total if test.higher_is_better else -total


def _transformed(test: ClaimTest, value: float) -> float:
    return math.log10(max(value, 1e-12)) if test.transform == "log10" else value


def at_ceiling(test: ClaimTest, pairs: Pairs) -> bool:
    """Whether every value is the best that there is: then no difference can show."""
    if not is_metric(test.metric.name):
        return False
    best = ceiling(test.metric.name)
    return all(value == best for values in pairs.values.values() for value in values)
