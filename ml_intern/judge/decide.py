"""Verdicts: a pure function of plan and evidence. Knows nothing of how either came about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ml_intern.judge import statistics
from ml_intern.judge.evidence import Evidence
from ml_intern.judge.looks import Look, look
from ml_intern.judge.order import by_plan
from ml_intern.judge.pairs import Pairs, at_ceiling, pair
from ml_intern.judge.verdict import Outcome, Verdict
from ml_intern.plan.plan import ClaimTest, Experiment, Plan

_SIGN_FLIP_FROM = 8  # with fewer seeds an exact sign-flip test cannot reach 0.05 with room to spare
_MIN_PAIRS = 3


def decide(plan: Plan, evidence: Sequence[Evidence]) -> tuple[Verdict, ...]:
    """One verdict for each claim of the plan, in the plan's order, whatever the order of the evidence. Exploration
    never counts."""
    confirm = [record for record in by_plan(plan, evidence) if record.phase == "confirm"]
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
    """True when a second look was planned and more seeds could close a primary claim that the first left open, or that
    does not stand beside the plan's other primary claims."""
    if plan.scale == "smoke" or not experiment.seeds.extra:
        return False
    records = [r for r in by_plan(plan, evidence) if r.experiment == experiment.id and r.phase == "confirm"]
    if len({record.seed for record in records}) > experiment.seeds.confirm:
        return True  # it was begun before an interruption
    primary = [test for test in experiment.tests if test.primary and not pair(experiment, test, records).missing]
    verdicts = [_judge(plan, experiment, test, records) for test in primary]
    if any(verdict.outcome == "inconclusive" and verdict.effects for verdict in verdicts):
        return True
    return _falls_to_holm(plan, experiment, verdicts, evidence)


def _falls_to_holm(plan: Plan, experiment: Experiment, own: Sequence[Verdict], evidence: Sequence[Evidence]) -> bool:
    """Whether one of `own` stands alone but not among all primary claims. Those whose experiment comes later count as
    if nothing spoke for them: no p value that they may still get asks more of this one."""
    weakest = {verdict.claim: verdict for verdict in sorted(own, key=lambda verdict: verdict.p_value or 0.0)}
    ids = [one.id for one in plan.experiments]
    later = plan.experiments[ids.index(experiment.id) + 1 :]
    waiting = {
        test.claim
        for one in later
        for test in one.tests
        if test.primary and test.kind not in ("failure", "measurement") and not _elsewhere(plan, one, test)
    }
    others = [verdict for verdict in decide(plan, evidence) if verdict.claim not in weakest]
    family = [
        verdict.model_copy(update={"p_value": 1.0})
        if verdict.outcome == "not tested" and verdict.claim in waiting
        else verdict
        for verdict in (*weakest.values(), *others)
    ]
    adjusted = _with_holm(family)[: len(weakest)]
    return any(one.outcome != other.outcome for one, other in zip(family, adjusted, strict=False))


def _elsewhere(plan: Plan, experiment: Experiment, test: ClaimTest) -> str:
    """Why a number of the paper's cannot be checked here: that takes the paper's own data, model and budget."""
    if test.kind != "value" and (test.kind != "threshold" or plan.paper.task):
        return ""
    if plan.scale != "paper":
        return "a value can be checked only at the paper's scale"
    if experiment.setting != "same":
        return f"a value can be checked only in the paper's own setting; this one is {experiment.setting}"
    return ""


def looks_of(plan: Plan, experiment: Experiment) -> tuple[int, float]:
    """How often an experiment's seeds are looked at, at the most, and the level of the interval each time."""
    looks = 2 if experiment.seeds.extra and plan.scale != "smoke" else 1
    return looks, statistics.POCOCK_TWO_LOOKS if looks == 2 else 0.95


def _judge(plan: Plan, experiment: Experiment, test: ClaimTest, records: Sequence[Evidence]) -> Verdict:
    seen = look(plan, experiment, test, records)
    verdict = _judged(plan, experiment, test, records, seen)
    if seen.left_out and verdict.effects:
        return verdict.model_copy(update={"reason": f"{verdict.reason}; {seen.left_out}"})
    return verdict


def _judged(plan: Plan, experiment: Experiment, test: ClaimTest, records: Sequence[Evidence], seen: Look) -> Verdict:
    looks, level = looks_of(plan, experiment)
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
    if why := _elsewhere(plan, experiment, test):
        return Verdict(outcome="not tested", reason=why, **common)
    pairs = pair(experiment, test, seen.records)
    common |= {"seeds": pairs.seeds, "effects": pairs.effects, "trust": pairs.trust, "level": level}
    common["means"] = {name: statistics.mean(values) for name, values in pairs.values.items() if values}
    if seen.missing:
        return Verdict(outcome="inconclusive", reason=f"the run was broken off: {seen.missing}", **common)
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


def _failure(test: ClaimTest, pairs: Pairs, common: dict[str, Any]) -> Verdict:
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
    elif failing > len(values) / 2 and low > 0.4:
        outcome = "partly"
    return Verdict(outcome=outcome, reason=reason, effect=failing / len(values), low=low, high=high, **common)


def _measurement(test: ClaimTest, pairs: Pairs, level: float, common: dict[str, Any]) -> Verdict:
    """The mean with its interval; there is nothing that it could meet or miss."""
    low, high = statistics.t_interval(pairs.effects, level)
    mean = statistics.mean(pairs.effects)
    reason = f"{mean:.4g} over {len(pairs.effects)} seeds; no number was asked for, so there is nothing to meet or miss"
    return Verdict(outcome="measured", reason=reason, effect=mean, low=low, high=high, **common)


def _difference(test: ClaimTest, pairs: Pairs, level: float, common: dict[str, Any]) -> Verdict:
    effects = pairs.effects
    effect = statistics.mean(effects)
    low, high = statistics.t_interval(effects, level)
    common |= {"effect": effect, "low": low, "high": high, "p_value": statistics.t_p_value(effects)}
    if test.kind == "value":
        return _within(test, effects, level, common)
    if test.kind == "threshold":
        return _threshold(test, pairs, level, common)
    if at_ceiling(test, pairs):
        return Verdict(outcome="inconclusive", reason="the metric is at its ceiling in every variant", **common)
    if all(value == 0 for value in effects):
        return Verdict(outcome="inconclusive", reason="the difference is exactly zero in every seed", **common)
    if test.kind == "equivalence":
        return _within(test, effects, level, common)
    if test.kind == "magnitude":
        # The interval has to lie beyond the minimal effect, not beyond 0 alone.
        common["p_value"] = max(common["p_value"], statistics.t_p_value(effects, test.minimal_effect))
        outcome, reason = _magnitude(test, effects, low, high, level)
    else:
        outcome, reason = _direction(test, effects, low, high, level)
    needed = None
    if outcome == "inconclusive":
        aim = test.minimal_effect if test.kind == "magnitude" and low > 0 else 0.0
        needed = statistics.seeds_needed(effects, aim, level)
        reason += f"; about {needed} seeds would decide it" if needed else "; no affordable number would decide it"
    return Verdict(outcome=outcome, reason=reason, needed_seeds=needed, **common)


def _direction(test: ClaimTest, effects: Sequence[float], low: float, high: float, level: float) -> tuple[Outcome, str]:
    effect = statistics.mean(effects)
    agrees = _signs_agree(effects, level)
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


def _magnitude(test: ClaimTest, effects: Sequence[float], low: float, high: float, level: float) -> tuple[Outcome, str]:
    """As a direction, but the interval itself must exclude the minimal effect."""
    outcome, reason = _direction(test, effects, low, high, level)
    minimal = test.minimal_effect
    if outcome not in ("reproduced", "partly"):
        return outcome, reason
    text = f"the {level:.1%} interval of the effect is {low:.4g} to {high:.4g}"
    if high < minimal:
        return "partly", f"{text}: on the claimed side, but all of it is below the minimal {minimal:g}"
    if low <= minimal and minimal > 0:
        return "inconclusive", f"{text}: above 0, but it includes the minimal effect {minimal:g}"
    if not _signs_agree([effect - minimal for effect in effects], level):
        return "inconclusive", f"{text}, but the exact sign-flip test about {minimal:g} does not agree"
    return "reproduced", f"{text}: all of it reaches the minimal effect {minimal:g}" if minimal else reason


def _signs_agree(effects: Sequence[float], level: float) -> bool:
    """Whether the exact sign-flip test says so too, where there are enough seeds for it."""
    return len(effects) < _SIGN_FLIP_FROM or statistics.sign_flip_p_value(effects) < 1 - level


def _threshold(test: ClaimTest, pairs: Pairs, level: float, common: dict[str, Any]) -> Verdict:
    """One-sample t interval of the mean over fresh seeds against a fixed number. To lie exactly on it in every seed is
    to reach it: the interval of a metric at its ceiling has no width."""
    effects, low, high = pairs.effects, common["low"], common["high"]
    agrees = _signs_agree(effects, level)
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


def _combined(parts: Sequence[Verdict]) -> Verdict:
    """A claim tested in several places holds where it holds in each; `partly` where in some of them only; open where
    one of them is, though what was refuted is said. The numbers are those of the part that is open, else of the one
    that speaks most against the claim; all parts stand in `parts`."""
    if len(parts) == 1:
        return parts[0]
    criteria = [part for part in parts if part.outcome != "measured"]
    if criteria and len(criteria) < len(parts):  # a mere measurement speaks neither for nor against
        return _with_parts(_combined(criteria), parts)
    outcomes = {part.outcome for part in parts}
    if open_parts := [part for part in parts if part.outcome == "inconclusive"]:
        refuted = "".join(f"; not reproduced elsewhere: {p.reason}" for p in parts if p.outcome == "not reproduced")
        return _with_parts(open_parts[0], parts, reason=f"{open_parts[0].reason}{refuted}")
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
