"""Verdicts: a pure function of plan and evidence. Knows nothing of how either came about."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ml_intern.judge import statistics
from ml_intern.judge.evidence import Evidence
from ml_intern.judge.metrics import ceiling, is_metric
from ml_intern.judge.verdict import Outcome, Verdict
from ml_intern.plan.plan import ClaimTest, Experiment, Plan

_SIGN_FLIP_FROM = 8  # with fewer seeds an exact sign-flip test cannot reach 0.05 with room to spare
_MIN_PAIRS = 3


@dataclass(frozen=True)
class _Pairs:
    """Values of each variant, by seed, for one test; `missing` says which seeds lack a value and why; `measured`
    counts the seeds in which no crash stands in for a value."""

    seeds: tuple[int, ...]
    values: dict[str, tuple[float, ...]]
    effects: tuple[float, ...]
    missing: tuple[str, ...]
    measured: int
    trust: str


def decide(plan: Plan, evidence: Sequence[Evidence]) -> tuple[Verdict, ...]:
    """One verdict for each claim of the plan, in the plan's order. Exploration never counts."""
    confirm = [record for record in evidence if record.phase == "confirm"]
    found: dict[str, list[Verdict]] = {claim.id: [] for claim in plan.claims}
    for left in plan.left_out:
        task = bool(plan.paper.task)
        found[left.claim].append(Verdict(claim=left.claim, outcome="not tested", reason=left.reason, task=task))
    for experiment in plan.experiments:
        records = [record for record in confirm if record.experiment == experiment.id]
        for test in experiment.tests:
            found[test.claim].append(_judge(plan, experiment, test, records))
    return tuple(_with_holm([_combined(parts) for parts in found.values()]))


def needs_second_look(plan: Plan, experiment: Experiment, evidence: Sequence[Evidence]) -> bool:
    """True when a second look was planned and more seeds could close a primary claim that the first left open."""
    if plan.scale == "smoke" or not experiment.seeds.extra:
        return False
    records = [r for r in evidence if r.experiment == experiment.id and r.phase == "confirm"]
    if len({record.seed for record in records}) > experiment.seeds.confirm:
        return True  # it was begun before an interruption
    primary = [test for test in experiment.tests if test.primary and not _pair(experiment, test, records).missing]
    verdicts = [_judge(plan, experiment, test, records) for test in primary]
    return any(verdict.outcome == "inconclusive" and verdict.effects for verdict in verdicts)


def _judge(plan: Plan, experiment: Experiment, test: ClaimTest, records: Sequence[Evidence]) -> Verdict:
    looks = 2 if experiment.seeds.extra and plan.scale != "smoke" else 1
    level = statistics.POCOCK_TWO_LOOKS if looks == 2 else 0.95
    common: dict[str, Any] = {
        "claim": test.claim,
        "experiment": experiment.id,
        "metric": test.metric.key,
        "setting": experiment.setting,
        "scale": experiment.scale_factors,
        "primary": test.primary,
        "looks": looks,
        "minimal_effect": test.minimal_effect,
        "smoke": plan.scale == "smoke",
        "task": bool(plan.paper.task),
    }
    if not records:
        return Verdict(outcome="not tested", reason="its experiment has no confirmation run", **common)
    if fatal := sorted({f"{guard.name}: {guard.message}" for r in records for guard in r.guards if guard.fatal}):
        return Verdict(outcome="inconclusive", reason=f"a guard was raised: {fatal[0]}", **common)
    of_scale = test.kind == "value" or (test.kind == "threshold" and not plan.paper.task)
    if of_scale and plan.scale != "paper":
        return Verdict(outcome="not tested", reason="a value can be checked only at the paper's scale", **common)
    pairs = _pair(experiment, test, records)
    common |= {"seeds": pairs.seeds, "effects": pairs.effects, "trust": pairs.trust, "level": level}
    common["means"] = {name: statistics.mean(values) for name, values in pairs.values.items() if values}
    if pairs.missing:
        reason = f"{len(pairs.missing)} seeds gave no value ({pairs.missing[0]}), and the plan counts none out"
        return Verdict(outcome="inconclusive", reason=reason, **common)
    if plan.scale == "smoke":
        effect = statistics.mean(pairs.effects) if pairs.effects else None
        reason = "a smoke run shows that the steps work; it has too few seeds and rows for a verdict"
        return Verdict(outcome="inconclusive", reason=reason, effect=effect, **common)
    if pairs.measured < _MIN_PAIRS:
        return Verdict(outcome="inconclusive", reason="fewer than three seeds gave a finite value", **common)
    if test.kind == "failure":
        return _failure(test, pairs, common)
    if test.kind == "measurement":
        return _measurement(test, pairs, level, common)
    return _difference(test, pairs, level, common)


def _pair(experiment: Experiment, test: ClaimTest, records: Iterable[Evidence]) -> _Pairs:
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
    return _Pairs(tuple(seeds), by_name, tuple(effects), tuple(missing), measured, trust)


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


def _failure(test: ClaimTest, pairs: _Pairs, common: dict[str, Any]) -> Verdict:
    """The one variant is beyond the floor, on the bad side, in (nearly) every seed."""
    name = next(iter(test.contrast))
    floor = test.floor if test.floor is not None else 0.0
    values = pairs.values[name]
    failing = sum(value < floor if test.higher_is_better else value > floor for value in values)
    low, high = statistics.binomial_interval(failing, len(values))
    side = "below" if test.higher_is_better else "above"
    reason = f"{failing} of {len(values)} seeds lie {side} the floor {floor:g} (share {low:.0%} to {high:.0%})"
    outcome: Outcome = "inconclusive"
    if failing == len(values) and low > 0.4:
        outcome = "reproduced"
    elif high < 0.6:
        outcome = "not reproduced"
    elif failing == 0:
        outcome = "not reproduced" if len(values) >= 5 else "inconclusive"
    elif failing > len(values) / 2 and low > 0.4:
        outcome = "partly"
    return Verdict(outcome=outcome, reason=reason, effect=failing / len(values), low=low, high=high, **common)


def _measurement(test: ClaimTest, pairs: _Pairs, level: float, common: dict[str, Any]) -> Verdict:
    """The mean with its interval; there is nothing that it could meet or miss."""
    low, high = statistics.t_interval(pairs.effects, level)
    mean = statistics.mean(pairs.effects)
    reason = f"{mean:.4g} over {len(pairs.effects)} seeds; no number was asked for, so there is nothing to meet or miss"
    return Verdict(outcome="measured", reason=reason, effect=mean, low=low, high=high, **common)


def _difference(test: ClaimTest, pairs: _Pairs, level: float, common: dict[str, Any]) -> Verdict:
    effects = pairs.effects
    effect = statistics.mean(effects)
    low, high = statistics.t_interval(effects, level)
    common |= {"effect": effect, "low": low, "high": high, "p_value": statistics.t_p_value(effects)}
    if test.kind == "value":
        return _within(test, effects, level, common)
    if test.kind == "threshold":
        return _threshold(test, pairs, level, common)
    if _at_ceiling(test, pairs):
        return Verdict(outcome="inconclusive", reason="the metric is at its ceiling in every variant", **common)
    if all(value == 0 for value in effects):
        return Verdict(outcome="inconclusive", reason="the difference is exactly zero in every seed", **common)
    if test.kind == "equivalence":
        return _within(test, effects, level, common)
    outcome, reason = _direction(test, effects, low, high, level)
    needed = None
    if outcome == "inconclusive":
        needed = statistics.seeds_needed(effects, 0.0, level)
        reason += f"; about {needed} seeds would decide it" if needed else "; no affordable number would decide it"
    return Verdict(outcome=outcome, reason=reason, needed_seeds=needed, **common)


def _direction(test: ClaimTest, effects: Sequence[float], low: float, high: float, level: float) -> tuple[Outcome, str]:
    effect = statistics.mean(effects)
    agrees = len(effects) < _SIGN_FLIP_FROM or statistics.sign_flip_p_value(effects) < 1 - level
    text = f"the {level:.1%} interval of the effect is {low:.4g} to {high:.4g}"
    if low > 0 and agrees:
        if effect >= test.minimal_effect:
            reached = f", and {effect:.4g} reaches the minimal effect {test.minimal_effect:g}"
            return "reproduced", f"{text}: above 0{reached if test.minimal_effect else ''}"
        return "partly", f"{text}: on the claimed side, but {effect:.4g} is below the minimal {test.minimal_effect:g}"
    if high < 0 and agrees:
        return "not reproduced", f"{text}: the other side wins"
    if test.minimal_effect > 0 and high < test.minimal_effect:
        return "not reproduced", f"{text}: it excludes the minimal effect {test.minimal_effect:g}"
    if not agrees and (low > 0 or high < 0):
        return "inconclusive", f"{text}, but the exact sign-flip test does not agree"
    return "inconclusive", f"{text}: it includes 0"


def _threshold(test: ClaimTest, pairs: _Pairs, level: float, common: dict[str, Any]) -> Verdict:
    """One-sample t interval of the mean over fresh seeds against a fixed number. To lie exactly on it in every seed is
    to reach it: the interval of a metric at its ceiling has no width."""
    effects, low, high = pairs.effects, common["low"], common["high"]
    agrees = len(effects) < _SIGN_FLIP_FROM or statistics.sign_flip_p_value(effects) < 1 - level
    reached = sum(effect >= 0 for effect in effects)
    (values,) = pairs.values.values()
    bounds = statistics.t_interval(values, level)
    text = (
        f"{test.metric.key} is {statistics.mean(values):.4g}, its {level:.1%} interval {bounds[0]:.4g} to"
        f" {bounds[1]:.4g}, against {test.target:g}; {reached} of {len(effects)} seeds reach it"
    )
    if not any(effects) or (low >= 0 and agrees):
        return Verdict(outcome="reproduced", reason=text, **common)
    if high < 0 and agrees:
        return Verdict(outcome="not reproduced", reason=text, **common)
    needed = statistics.seeds_needed(effects, 0.0, level)
    why = "the interval reaches across the number" if low < 0 <= high else "the exact sign-flip test does not agree"
    more = f"; about {needed} seeds would decide it" if needed else "; no affordable number would decide it"
    return Verdict(outcome="inconclusive", reason=f"{text}; {why}{more}", needed_seeds=needed, **common)


def _within(test: ClaimTest, effects: Sequence[float], level: float, common: dict[str, Any]) -> Verdict:
    """Equivalence, or a value within its tolerance: two one-sided tests against the margin."""
    margin = test.margin if test.margin is not None else 0.0
    alpha = 1 - level
    low, high = statistics.t_interval(effects, 1 - 2 * alpha)
    common |= {"p_value": statistics.tost_p_value(effects, margin), "low": low, "high": high}
    text = f"the {1 - 2 * alpha:.1%} interval is {low:.4g} to {high:.4g}, the margin ± {margin:g}"
    if statistics.tost(effects, margin, alpha):
        return Verdict(outcome="reproduced", reason=f"{text}: it lies inside", **common)
    if low > margin or high < -margin:
        return Verdict(outcome="not reproduced", reason=f"{text}: it lies outside", **common)
    needed = statistics.seeds_needed(effects, math.copysign(margin, statistics.mean(effects)), 1 - 2 * alpha)
    return Verdict(outcome="inconclusive", reason=f"{text}: it reaches across it", needed_seeds=needed, **common)


def _at_ceiling(test: ClaimTest, pairs: _Pairs) -> bool:
    if not is_metric(test.metric.name):
        return False
    best = ceiling(test.metric.name)
    return all(value == best for values in pairs.values.values() for value in values)


def _combined(parts: Sequence[Verdict]) -> Verdict:
    """A claim tested in several places holds where it holds in each; `partly` where in some of them only. The numbers
    are those of the part that speaks most against the claim; all parts stand in `parts`."""
    if len(parts) == 1:
        return parts[0]
    criteria = [part for part in parts if part.outcome != "measured"]
    if criteria and len(criteria) < len(parts):  # a mere measurement speaks neither for nor against
        return _with_parts(_combined(criteria), parts)
    outcomes = {part.outcome for part in parts}
    if open_parts := [part for part in parts if part.outcome == "inconclusive"]:
        return _with_parts(open_parts[0], parts)
    if len(outcomes) == 1:
        return _with_parts(max(parts, key=lambda part: part.p_value or 0.0), parts)
    if "not tested" in outcomes:
        tested = next(part for part in parts if part.outcome != "not tested")
        untested = next(part for part in parts if part.outcome == "not tested")
        reason = f"{tested.outcome} ({tested.metric}), but not tested in another condition: {untested.reason}"
        return _with_parts(tested, parts, outcome="inconclusive", reason=reason)
    against: Outcome = "not reproduced" if "not reproduced" in outcomes else "partly"
    worst = next(part for part in parts if part.outcome == against)
    told = ", ".join(sorted(f"{part.outcome} ({part.experiment}, {part.metric})" for part in parts))
    return _with_parts(worst, parts, outcome="partly", reason=f"in some conditions only: {told}")


def _with_parts(chosen: Verdict, parts: Sequence[Verdict], **changes: Any) -> Verdict:
    return chosen.model_copy(update={**changes, "parts": tuple(parts)})


def _with_holm(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Adjusts the p values of primary claims; a difference that does not survive is inconclusive."""
    family = [i for i, verdict in enumerate(verdicts) if verdict.primary and verdict.p_value is not None]
    adjusted = statistics.holm([verdicts[i].p_value or 0.0 for i in family])
    out = list(verdicts)
    for index, p in zip(family, adjusted, strict=True):
        verdict = out[index]
        changes: dict[str, Any] = {"p_holm": p}
        alpha = 1 - (verdict.level or 0.95)
        rests_on_p = verdict.outcome in ("reproduced", "partly")
        if rests_on_p and p >= alpha and (verdict.p_value or 0.0) < alpha:
            changes |= {
                "outcome": "inconclusive",
                "reason": f"{verdict.reason}; but with {len(family)} primary claims it does not stand (Holm p {p:.3g})",
            }
        out[index] = verdict.model_copy(update=changes)
    return out
