"""A metric against a fixed number, and a metric against nothing: the mean over fresh seeds with its interval."""

import random
from collections.abc import Sequence

import pytest
from pydantic import ValidationError

from ml_intern.judge.decide import decide, needs_second_look
from ml_intern.judge.evidence import Evidence
from ml_intern.judge.statistics import t_interval
from ml_intern.judge.verdict import Verdict
from ml_intern.plan.plan import Plan
from tests.judge.synthetic import criterion, experiment, plan_of, run, runs, task_of

ABOVE = [0.70, 0.71, 0.69, 0.70, 0.71]  # the number is 0.6
BELOW = [0.50, 0.51, 0.49, 0.50, 0.51]
ACROSS = [0.50, 0.75, 0.62, 0.58, 0.66]


def only(plan: Plan, evidence: Sequence[Evidence]) -> Verdict:
    (verdict,) = decide(plan, evidence)
    return verdict


def judged(values: Sequence[float | None], kind: str = "threshold", **changes: object) -> Verdict:
    return only(task_of(experiment(criterion(kind, **changes))), runs({"method": values}))


@pytest.mark.parametrize(
    ("values", "outcome", "word", "said"),
    [
        (ABOVE, "reproduced", "met", "5 of 5 seeds reach it"),
        (BELOW, "not reproduced", "not met", "0 of 5 seeds reach it"),
        (ACROSS, "inconclusive", "inconclusive", "the interval reaches across the number"),
    ],
)
def test_a_threshold_is_judged_by_the_interval_of_the_mean(
    values: list[float], outcome: str, word: str, said: str
) -> None:
    verdict = judged(values)
    assert (verdict.outcome, verdict.word) == (outcome, word)
    assert said in verdict.reason and "against 0.6" in verdict.reason
    assert verdict.effects == pytest.approx([value - 0.6 for value in values])
    low, high = t_interval([value - 0.6 for value in values], 0.95)
    assert (verdict.low, verdict.high) == pytest.approx((low, high))


def test_the_interval_shown_is_of_the_metric_itself() -> None:
    low, high = t_interval(ABOVE, 0.95)
    assert f"{low:.4g} to {high:.4g}" in judged(ABOVE).reason


def test_a_mean_above_the_number_is_not_enough_where_the_interval_reaches_below() -> None:
    values = [0.55, 0.70, 0.62]
    plan = task_of(experiment(criterion("threshold"), seeds={"confirm": 3, "extra": 0}))
    verdict = only(plan, runs({"method": values}))
    assert sum(values) / 3 > 0.6
    assert verdict.outcome == "inconclusive"
    assert verdict.needed_seeds is not None and str(verdict.needed_seeds) in verdict.reason


@pytest.mark.parametrize(("values", "outcome"), [(BELOW, "reproduced"), (ABOVE, "not reproduced")])
def test_where_lower_is_better_the_number_is_an_upper_bound(values: list[float], outcome: str) -> None:
    plan = task_of(experiment(criterion("threshold", metric={"name": "mse"}, higher_is_better=False)))
    assert only(plan, runs({"method": values}, key="mse@test")).outcome == outcome


def test_exactly_the_number_in_every_seed_reaches_it() -> None:
    assert judged([0.6] * 5).outcome == "reproduced"
    assert judged([1.0] * 5, target=1.0).outcome == "reproduced", "a metric at its ceiling has no interval"


def test_a_constant_below_or_above_the_number_is_decided() -> None:
    assert judged([0.59] * 5).outcome == "not reproduced"
    assert judged([1.0] * 5).outcome == "reproduced"


def test_some_seeds_on_the_number_and_some_below_do_not_reach_it() -> None:
    assert judged([0.6, 0.6, 0.5, 0.6, 0.55]).outcome != "reproduced"


def test_from_eight_seeds_on_the_sign_flip_test_must_agree() -> None:
    seven = [0.72, 0.73, 0.70, 0.73, 0.74, 0.58, 0.59]
    eight = [0.72, 0.73, 0.70, 0.73, 0.74, 0.57, 0.58, 0.61]
    assert judged(seven).outcome == "reproduced"
    verdict = judged(eight)
    assert verdict.outcome == "inconclusive" and "sign-flip test does not agree" in verdict.reason
    assert (verdict.low or 0) > 0


def test_eight_seeds_below_are_not_met_though_the_sign_flip_test_speaks() -> None:
    assert judged([*BELOW, *BELOW[:3]]).outcome == "not reproduced"


def test_a_crash_leaves_a_task_open_or_counts_as_the_worst() -> None:
    evidence = runs({"method": ABOVE})
    evidence[2] = run("method", 5, None, detail="CUDA error")
    open_, worst = (only(task_of(experiment(criterion("threshold"), crash=one)), evidence)
                    for one in ("inconclusive", "worst"))  # fmt: skip
    assert open_.outcome == "inconclusive" and "seed 5, method: CUDA error" in open_.reason
    assert worst.effects[2] == pytest.approx(0.70 - 0.6)


@pytest.mark.parametrize("kind", ["threshold", "measurement"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), None])
def test_what_is_no_finite_number_is_never_a_success(kind: str, value: float | None) -> None:
    assert judged([*ABOVE, value], kind).outcome == "inconclusive"


def test_of_a_paper_a_threshold_is_tested_at_the_papers_scale_only() -> None:
    test = experiment(criterion("threshold"), setting="same")
    assert only(plan_of(test), runs({"method": ABOVE})).outcome == "not tested"
    assert only(plan_of(test, scale="paper"), runs({"method": ABOVE})).word == "reproduced"


def test_a_second_look_follows_an_open_threshold_at_a_stricter_level() -> None:
    looks = experiment(criterion("threshold"), seeds={"confirm": 5, "extra": 5})
    plan = task_of(looks)
    assert needs_second_look(plan, looks, runs({"method": ACROSS}))
    assert not needs_second_look(plan, looks, runs({"method": ABOVE}))
    assert only(plan, runs({"method": ABOVE})).level == 0.9706


def test_several_thresholds_are_adjusted_together() -> None:
    barely = [0.62, 0.74, 0.68, 0.77, 0.65]  # p about 0.02
    several = [criterion("threshold", claim=f"C{n}") for n in (1, 2, 3)]
    assert only(task_of(experiment(several[0])), runs({"method": barely})).outcome == "reproduced"
    verdicts = decide(task_of(experiment(*several)), runs({"method": barely}))
    assert {verdict.outcome for verdict in verdicts} == {"inconclusive"}


def test_a_false_met_is_rare_at_the_number_itself() -> None:
    """2.5 % of the runs lie above by chance; 400 made-up runs of a mean that is exactly the number."""
    generator = random.Random(1)
    met = sum(judged([generator.gauss(0.6, 0.02) for _ in range(5)]).outcome == "reproduced" for _ in range(400))
    assert met <= 20


def test_a_measurement_has_a_mean_an_interval_and_nothing_to_meet() -> None:
    verdict = judged(ABOVE, "measurement")
    assert (verdict.outcome, verdict.word, verdict.p_value) == ("measured", "measured", None)
    assert verdict.effect == pytest.approx(0.702)
    assert (verdict.low, verdict.high) == pytest.approx(t_interval(ABOVE, 0.95))


def test_a_measurement_of_an_error_keeps_its_sign() -> None:
    plan = task_of(experiment(criterion("measurement", metric={"name": "mse"}, higher_is_better=False)))
    assert only(plan, runs({"method": ABOVE}, key="mse@test")).effect == pytest.approx(0.702)


@pytest.mark.parametrize("values", [ABOVE, BELOW, ACROSS])
def test_a_measurement_beside_a_threshold_changes_no_verdict(values: list[float]) -> None:
    both = experiment(criterion("threshold"), criterion("measurement"))
    verdict = only(task_of(both), runs({"method": values}))
    assert verdict.outcome == judged(values).outcome
    assert [part.outcome for part in verdict.parts][1] == "measured"


@pytest.mark.parametrize(
    "changes",
    [
        {"target": None},
        {"contrast": {"method": 1.0, "baseline": -1.0}},
        {"contrast": {"method": 2.0}},
        {"contrast": {"method": -1.0}},
        {"transform": "log10"},
    ],
)
def test_a_threshold_is_about_one_variant_and_a_number(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        criterion("threshold", **changes)


def test_verdicts_and_hashes_of_papers_are_what_they_were_before_there_were_tasks() -> None:
    plan = plan_of(experiment())
    assert "task" not in decide(plan, runs({"method": ABOVE, "baseline": BELOW}))[0].model_dump()
    assert plan.digest() == "b9c3a71f043c8281337097105944bc3da6179997faf3c0ca4fa18db19a11dc08"
    assert task_of(experiment()).digest() != plan.digest()
    assert Verdict.model_validate(judged(ABOVE).model_dump(mode="json")).word == "met"
