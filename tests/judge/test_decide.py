"""What may be concluded from evidence: each kind of claim, each end, and what stands in the way of a verdict."""

import random
from collections.abc import Sequence

import pytest

from ml_intern.judge.decide import decide, needs_second_look
from ml_intern.judge.evidence import Evidence, Guard
from ml_intern.judge.verdict import Verdict
from ml_intern.plan.plan import Plan
from tests.judge.synthetic import (
    FEEBLE,
    LOSING,
    NOTHING,
    WIDE,
    WINNING,
    criterion,
    experiment,
    paired,
    plan_of,
    run,
    runs,
)

KINDS = ["direction", "magnitude", "equivalence", "value", "trend", "failure", "threshold", "measurement"]
DIFFERENCES = ["direction", "magnitude", "trend"]
TWO_LOOKS = {"confirm": 5, "extra": 5}


def only(plan: Plan, evidence: Sequence[Evidence]) -> Verdict:
    (verdict,) = decide(plan, evidence)
    return verdict


@pytest.mark.parametrize("kind", DIFFERENCES)
@pytest.mark.parametrize(
    ("differences", "outcome", "words"),
    [
        (WINNING, "reproduced", "reaches the minimal effect 0.05"),
        (FEEBLE, "partly", "is below the minimal 0.05"),
        (LOSING, "not reproduced", "the other side wins"),
        (NOTHING, "not reproduced", "excludes the minimal effect 0.05"),
        (WIDE, "inconclusive", "it includes 0"),
    ],
)
def test_a_difference_is_judged_by_its_interval(kind: str, differences: list[float], outcome: str, words: str) -> None:
    verdict = only(plan_of(experiment(criterion(kind))), paired(differences))
    assert verdict.outcome == outcome
    assert words in verdict.reason
    assert verdict.effects == pytest.approx(differences)
    assert verdict.seeds == (1, 3, 5, 7, 9)


REACHING = [0.03, 0.09, 0.06, 0.05, 0.07]  # above 0; its mean is above 0.05, its interval reaches below


def test_a_magnitude_asks_that_the_interval_lies_beyond_the_minimal_effect() -> None:
    assert only(plan_of(experiment(criterion("direction"))), paired(REACHING)).outcome == "reproduced"
    verdict = only(plan_of(experiment(criterion("magnitude"))), paired(REACHING))
    assert verdict.outcome == "inconclusive" and "includes the minimal effect 0.05" in verdict.reason
    assert verdict.needed_seeds is not None and verdict.needed_seeds > 5
    assert (verdict.p_value or 0) > 0.05
    seeds = {"confirm": 5, "extra": 0}
    many = [*WINNING, *WINNING, 0.051, 0.049, -0.02]  # its interval is above 0.05; many signs about 0.05 are not needed
    assert only(plan_of(experiment(criterion("magnitude"), seeds=seeds)), paired(many)).outcome == "reproduced"


def test_of_a_magnitude_the_sign_flip_test_is_about_the_minimal_effect() -> None:
    moved = [difference + 0.05 for difference in EIGHT]
    plan = plan_of(experiment(criterion("magnitude")))
    assert only(plan, paired(moved[:7])).outcome != "not reproduced"
    verdict = only(plan, paired(moved))
    assert verdict.outcome == "inconclusive" and "sign-flip test about 0.05 does not agree" in verdict.reason


def test_a_magnitude_among_primary_claims_is_adjusted_by_its_own_test() -> None:
    tests = [criterion("magnitude", claim=f"C{n}", minimal_effect=0.02) for n in (1, 2, 3, 4)]
    barely = [0.06, 0.13, 0.09, 0.04, 0.08]
    assert only(plan_of(experiment(tests[0])), paired(barely)).outcome == "reproduced"
    assert {v.outcome for v in decide(plan_of(experiment(*tests)), paired(barely))} == {"inconclusive"}
    directions = [criterion(claim=f"C{n}", minimal_effect=0.02) for n in (1, 2, 3, 4)]
    assert {v.outcome for v in decide(plan_of(experiment(*directions)), paired(barely))} == {"reproduced"}


def test_an_open_difference_names_the_number_of_seeds_that_would_decide_it() -> None:
    verdict = only(plan_of(experiment()), paired(WIDE))
    assert verdict.needed_seeds is not None
    assert verdict.needed_seeds > 5
    assert str(verdict.needed_seeds) in verdict.reason


def test_without_a_minimal_effect_a_difference_around_zero_stays_open() -> None:
    assert only(plan_of(experiment(criterion(minimal_effect=0.0))), paired(NOTHING)).outcome == "inconclusive"


def test_where_lower_is_better_the_lower_side_wins() -> None:
    plan = plan_of(experiment(criterion(metric={"name": "mse"}, higher_is_better=False)))
    assert only(plan, paired(LOSING, key="mse@test")).outcome == "reproduced"
    assert only(plan, paired(WINNING, key="mse@test")).outcome == "not reproduced"


def test_a_ratio_is_judged_on_the_logarithm() -> None:
    test = criterion(metric={"name": "mse"}, higher_is_better=False, transform="log10", minimal_effect=1.0)
    hundredfold = runs(
        {"method": [0.01, 0.02, 0.005, 0.01, 0.03], "baseline": [1.0, 2.1, 0.6, 1.1, 2.7]}, key="mse@test"
    )
    verdict = only(plan_of(experiment(test)), hundredfold)
    assert verdict.outcome == "reproduced"
    assert verdict.effect == pytest.approx(2.0, abs=0.1)


def test_a_trend_is_one_contrast_a_seed() -> None:
    test = criterion("trend", contrast={"low": -1.0, "middle": 0.0, "high": 1.0})
    rising = {"low": [0.50, 0.52, 0.51], "middle": [0.9, 0.1, 0.5], "high": [0.60, 0.63, 0.62]}
    plan = plan_of(experiment(test, seeds={"confirm": 3, "extra": 0}))
    verdict = only(plan, runs(rising))
    assert verdict.outcome == "reproduced"
    assert verdict.effects == pytest.approx([0.10, 0.11, 0.11])
    falling = {"low": rising["high"], "middle": rising["middle"], "high": rising["low"]}
    assert only(plan, runs(falling)).outcome == "not reproduced"


@pytest.mark.parametrize(
    ("differences", "outcome", "words"),
    [
        ([0.010, -0.010, 0.005, 0.000, -0.005], "reproduced", "lies inside"),
        (WINNING, "not reproduced", "lies outside"),
        (LOSING, "not reproduced", "lies outside"),
        (WIDE, "inconclusive", "reaches across it"),
    ],
)
def test_equivalence_is_two_one_sided_tests_against_the_margin(
    differences: list[float], outcome: str, words: str
) -> None:
    verdict = only(plan_of(experiment(criterion("equivalence"))), paired(differences))
    assert verdict.outcome == outcome
    assert words in verdict.reason
    assert "90.0% interval" in verdict.reason


def test_a_small_but_certain_difference_is_still_equivalence() -> None:
    assert only(plan_of(experiment(criterion("equivalence"))), paired(FEEBLE)).outcome == "reproduced"


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([0.60, 0.61, 0.59, 0.60, 0.61], "reproduced"),
        ([0.70, 0.71, 0.69, 0.70, 0.71], "not reproduced"),
        ([0.50, 0.70, 0.65, 0.55, 0.60], "inconclusive"),
    ],
)
def test_a_value_is_judged_against_its_tolerance_at_the_papers_scale_only(values: list[float], outcome: str) -> None:
    at_scale = plan_of(experiment(criterion("value"), setting="same"), scale="paper")
    assert only(at_scale, runs({"method": values})).outcome == outcome
    small = only(plan_of(experiment(criterion("value"))), runs({"method": values}))
    assert (small.outcome, small.reason) == ("not tested", "a value can be checked only at the paper's scale")


@pytest.mark.parametrize("kind", ["value", "threshold"])
@pytest.mark.parametrize("setting", ["scaled down", "analogue"])
def test_a_papers_number_is_not_tested_on_other_data_or_at_another_size(kind: str, setting: str) -> None:
    values = runs({"method": [0.61, 0.62, 0.61, 0.62, 0.61]})
    assert only(plan_of(experiment(criterion(kind), setting="same"), scale="paper"), values).outcome == "reproduced"
    verdict = only(plan_of(experiment(criterion(kind), setting=setting), scale="paper"), values)
    assert verdict.outcome == "not tested" and f"this one is {setting}" in verdict.reason


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ([0.1] * 5, "reproduced"),
        ([0.1] * 9 + [0.5], "partly"),
        ([0.5] * 5, "not reproduced"),
        ([0.1, 0.5, 0.1, 0.5, 0.1], "inconclusive"),
        ([0.1] * 3, "inconclusive"),  # three of three: the share may be as low as 29 %
        ([0.5] * 3, "inconclusive"),
    ],
)
def test_a_failure_is_a_share_of_seeds_beyond_the_floor(values: list[float], outcome: str) -> None:
    seeds = {"confirm": len(values), "extra": 0}
    assert only(plan_of(experiment(criterion("failure"), seeds=seeds)), runs({"method": values})).outcome == outcome


def test_a_failure_of_an_error_lies_above_its_floor() -> None:
    test = criterion("failure", metric={"name": "mse"}, higher_is_better=False, floor=1.0)
    verdict = only(plan_of(experiment(test)), runs({"method": [2.0, 3.0, 2.5, 9.0, 4.0]}, key="mse@test"))
    assert verdict.outcome == "reproduced"
    assert "5 of 5 seeds lie above the floor 1" in verdict.reason


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_confirmation_run_nothing_was_tested(kind: str) -> None:
    plan = plan_of(experiment(criterion(kind)), scale="paper")
    assert only(plan, []).outcome == "not tested"
    assert only(plan, paired(WINNING, phase="explore")).outcome == "not tested"


def test_a_claim_that_was_left_out_keeps_its_reason() -> None:
    base = plan_of(experiment())
    left = base.claims[0].model_copy(update={"id": "C2"})
    plan = plan_of(experiment(), claims=[*base.claims, left], left_out=[{"claim": "C2", "reason": "needs 512 GPUs"}])
    verdicts = decide(plan, paired(WINNING))
    assert [verdict.claim for verdict in verdicts] == ["C1", "C2"]
    assert (verdicts[1].outcome, verdicts[1].reason) == ("not tested", "needs 512 GPUs")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("differences", [WINNING, LOSING, NOTHING, WIDE])
def test_a_smoke_run_concludes_nothing(kind: str, differences: list[float]) -> None:
    verdict = only(plan_of(experiment(criterion(kind)), scale="smoke"), paired(differences, smoke=True))
    assert verdict.outcome in ("inconclusive", "not tested")
    if verdict.outcome == "inconclusive":
        assert verdict.headline.startswith("inconclusive (smoke)")


@pytest.mark.parametrize("kind", KINDS)
def test_a_fatal_guard_on_any_run_takes_the_verdict_away(kind: str) -> None:
    guard = Guard(name="variant without effect", message="the same weights came out")
    plan = plan_of(experiment(criterion(kind), setting="same"), scale="paper")
    evidence = paired(WINNING)
    evidence[3] = evidence[3].model_copy(update={"guards": (guard,)})
    verdict = only(plan, evidence)
    assert verdict.outcome == "inconclusive"
    assert verdict.reason == "a guard was raised: variant without effect: the same weights came out"


def test_a_guard_that_only_warns_or_stands_on_exploration_leaves_the_verdict() -> None:
    alarm = Guard(name="too good", message="perfect", fatal=False)
    fatal = Guard(name="too fast", message="m")
    assert only(plan_of(experiment()), paired(WINNING, guards=[alarm])).outcome == "reproduced"
    explored = paired(WINNING, phase="explore", guards=[fatal])
    assert only(plan_of(experiment()), [*paired(WINNING), *explored]).outcome == "reproduced"


def test_a_crash_leaves_the_claim_open_where_the_plan_says_inconclusive() -> None:
    evidence = paired([*WINNING, *WINNING])
    evidence[2] = run("method", 5, None, detail="CUDA error")
    verdict = only(plan_of(experiment(crash="inconclusive")), evidence)
    assert verdict.outcome == "inconclusive"
    assert "seed 5, method: CUDA error" in verdict.reason


def test_a_crash_counts_as_the_worst_value_where_the_plan_says_so() -> None:
    plan = plan_of(experiment(crash="worst"))
    evidence = paired(WINNING)
    evidence[0], evidence[1] = run("method", 1, None), run("method", 3, None)
    verdict = only(plan, evidence)
    assert verdict.seeds == (1, 3, 5, 7, 9)
    # The worst run of all is the baseline's on seed 1: 0.5; on seed 3 the baseline has 0.51.
    assert verdict.effects == pytest.approx([0.0, -0.01, *WINNING[2:]])
    assert verdict.outcome == "inconclusive"


def test_a_crash_of_an_error_counts_as_the_highest() -> None:
    plan = plan_of(experiment(criterion(metric={"name": "mse"}, higher_is_better=False), crash="worst"))
    evidence = paired(LOSING, key="mse@test")
    evidence[0] = run("method", 1, None, key="mse@test")
    assert only(plan, evidence).effects[0] == pytest.approx(-0.02)  # 0.5 against the highest, 0.52


def test_crashes_of_the_baseline_do_not_stand_in_for_three_measured_pairs() -> None:
    evidence = [record for record in paired(WINNING * 2) if record.variant == "method"]
    evidence += [run("baseline", 2 * place + 1, 0.5 if place < 2 else None) for place in range(10)]
    verdict = only(plan_of(experiment(crash="worst")), evidence)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "fewer than three seeds gave a finite value")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite_is_a_crash(value: float) -> None:
    evidence = paired(WINNING)
    evidence[0] = run("method", 1, value)
    assert only(plan_of(experiment()), evidence).outcome == "inconclusive"
    assert only(plan_of(experiment(crash="worst")), evidence).effects[0] == pytest.approx(0.0)


@pytest.mark.parametrize("crash", ["worst", "inconclusive"])
def test_a_baseline_that_never_worked_proves_nothing(crash: str) -> None:
    values = {"method": [0.60, *[0.9] * 9], "baseline": [None] * 10}
    assert only(plan_of(experiment(crash=crash)), runs(values)).outcome == "inconclusive"


@pytest.mark.parametrize("crash", ["worst", "inconclusive"])
def test_a_run_that_was_never_made_does_not_count_as_the_worst(crash: str) -> None:
    evidence = [record for record in paired(WINNING) if (record.variant, record.seed) != ("baseline", 9)]
    verdict = only(plan_of(experiment(crash=crash)), evidence)
    assert verdict.outcome == "inconclusive"
    assert "seed 9, baseline: it was not run" in verdict.reason


@pytest.mark.parametrize("kind", KINDS)
def test_fewer_than_three_finite_pairs_conclude_nothing(kind: str) -> None:
    plan = plan_of(experiment(criterion(kind), setting="same", seeds={"confirm": 2, "extra": 0}), scale="paper")
    verdict = only(plan, paired(WINNING[:2]))
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "fewer than three seeds gave a finite value")


@pytest.mark.parametrize("kind", [*DIFFERENCES, "equivalence"])
def test_differences_of_exactly_zero_conclude_nothing(kind: str) -> None:
    verdict = only(plan_of(experiment(criterion(kind))), paired([0.0] * 10))
    assert verdict.outcome == "inconclusive"
    assert "exactly zero in every seed" in verdict.reason


@pytest.mark.parametrize("kind", [*DIFFERENCES, "equivalence"])
def test_a_metric_at_its_ceiling_in_both_variants_concludes_nothing(kind: str) -> None:
    verdict = only(plan_of(experiment(criterion(kind))), runs({"method": [1.0] * 5, "baseline": [1.0] * 5}))
    assert verdict.outcome == "inconclusive"
    assert "at its ceiling" in verdict.reason


def test_a_winner_at_the_ceiling_may_win() -> None:
    values = {"method": [1.0] * 5, "baseline": [0.80, 0.82, 0.79, 0.85, 0.81]}
    assert only(plan_of(experiment()), runs(values)).outcome == "reproduced"


# The t intervals of both exclude 0; exact sign flips give 0.0625 for the seven and 0.055 for the eight.
SEVEN = [0.12, 0.13, 0.10, 0.13, 0.14, -0.02, -0.01]
EIGHT = [0.12, 0.13, 0.10, 0.13, 0.14, -0.03, -0.02, 0.01]


@pytest.mark.parametrize("side", [1, -1])
def test_from_eight_seeds_on_the_sign_flip_test_must_agree(side: int) -> None:
    plan = plan_of(experiment(criterion(minimal_effect=0.0)))
    seven, eight = (only(plan, paired([side * d for d in row])) for row in (SEVEN, EIGHT))
    assert seven.outcome == ("reproduced" if side == 1 else "not reproduced")
    assert eight.outcome == "inconclusive"
    assert "sign-flip test does not agree" in eight.reason
    assert (eight.low or 0) * (eight.high or 0) > 0


def test_eight_seeds_of_one_sign_satisfy_the_sign_flip_test() -> None:
    assert only(plan_of(experiment()), paired((WINNING * 2)[:8])).outcome == "reproduced"


def primaries(count: int, primary: bool = True) -> Plan:
    tests = [criterion(claim=f"C{n}", metric={"name": "accuracy"}) for n in range(1, count + 1)]
    tests[1:] = [test.model_copy(update={"primary": primary}) for test in tests[1:]]
    return plan_of(experiment(*tests))


BARELY = [0.02, 0.14, 0.08, 0.17, 0.05]  # p about 0.02: stands alone, not among several


def test_holm_is_over_primary_claims() -> None:
    assert [v.outcome for v in decide(primaries(1), paired(BARELY))] == ["reproduced"]
    several = decide(primaries(3), paired(BARELY))
    assert {verdict.outcome for verdict in several} == {"inconclusive"}
    assert all("3 primary claims" in verdict.reason for verdict in several)
    assert all((v.p_holm or 0) == pytest.approx(min(1, 3 * (v.p_value or 0))) for v in several)


def test_secondary_claims_neither_cost_nor_pay() -> None:
    verdicts = decide(primaries(3, primary=False), paired(BARELY))
    assert [verdict.outcome for verdict in verdicts] == ["reproduced"] * 3
    assert [verdict.p_holm is None for verdict in verdicts] == [False, True, True]


def test_an_equivalence_among_primary_claims_is_adjusted_by_its_own_test() -> None:
    """Its p is that of the two one-sided tests, not of a difference: a certain small difference is no objection."""
    equivalences = [criterion("equivalence", claim=f"C{n}", margin=0.1) for n in (1, 2, 3)]
    verdicts = decide(plan_of(experiment(*equivalences)), paired(FEEBLE))
    assert [verdict.outcome for verdict in verdicts] == ["reproduced"] * 3
    narrow = [criterion("equivalence", claim=f"C{n}", margin=0.013) for n in (1, 2, 3)]
    wobbling = paired([0.010, -0.010, 0.012, 0.000, -0.008])
    assert [v.outcome for v in decide(plan_of(experiment(narrow[0])), wobbling)] == ["reproduced"]
    assert {v.outcome for v in decide(plan_of(experiment(*narrow)), wobbling)} == {"inconclusive"}


def two_places(first: Sequence[float] | None, second: Sequence[float] | None) -> Verdict:
    """One claim, tested in two experiments; None: that experiment never ran."""
    plan = plan_of(experiment(), experiment(id="f"))
    rows = [paired(first, experiment="e") if first else [], paired(second, experiment="f") if second else []]
    return only(plan, [*rows[0], *rows[1]])


@pytest.mark.parametrize(
    ("first", "second", "outcome"),
    [
        (WINNING, WINNING, "reproduced"),
        (WINNING, FEEBLE, "partly"),
        (WINNING, LOSING, "partly"),
        (WINNING, WIDE, "inconclusive"),
        (LOSING, WIDE, "inconclusive"),
        (LOSING, NOTHING, "not reproduced"),
        (WINNING, None, "inconclusive"),
        (WIDE, None, "inconclusive"),
        (None, None, "not tested"),
    ],
)
def test_a_claim_tested_in_two_places_is_as_good_as_its_worst_in_either_order(
    first: list[float] | None, second: list[float] | None, outcome: str
) -> None:
    assert two_places(first, second).outcome == outcome
    assert two_places(second, first).outcome == outcome


def test_a_second_look_follows_only_an_open_primary_claim() -> None:
    looks = experiment(seeds=TWO_LOOKS)
    plan = plan_of(looks)
    assert needs_second_look(plan, looks, paired(WIDE))
    assert not needs_second_look(plan, looks, paired(WINNING))
    assert not needs_second_look(plan, looks, paired(LOSING))
    assert not needs_second_look(plan_of(experiment()), experiment(), paired(WIDE))
    assert not needs_second_look(plan_of(looks, scale="smoke"), looks, paired(WIDE))
    secondary = experiment(criterion(primary=False), seeds=TWO_LOOKS)
    assert not needs_second_look(plan_of(secondary), secondary, paired(WIDE))


def test_a_second_look_that_was_begun_is_finished() -> None:
    looks = experiment(seeds=TWO_LOOKS)
    assert needs_second_look(plan_of(looks), looks, paired((WINNING * 2)[:7]))


def test_two_planned_looks_ask_for_more_at_each() -> None:
    one = only(plan_of(experiment()), paired(BARELY))
    two = only(plan_of(experiment(seeds=TWO_LOOKS)), paired(BARELY))
    assert (one.looks, one.level, two.looks, two.level) == (1, 0.95, 2, 0.9706)
    assert (two.high or 0) - (two.low or 0) > (one.high or 0) - (one.low or 0)


def test_the_order_of_the_evidence_does_not_matter() -> None:
    plan = plan_of(experiment())
    evidence = paired(WINNING)
    expected = decide(plan, evidence)
    for turn in range(5):
        random.Random(turn).shuffle(evidence)
        assert decide(plan, evidence) == expected
