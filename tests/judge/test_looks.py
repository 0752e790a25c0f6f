"""A verdict rests on one look or on two, whole ones; what is between them can neither help nor harm a claim."""

import random
from collections.abc import Sequence

import pytest

from ml_intern.judge.decide import decide, needs_second_look
from ml_intern.judge.evidence import Evidence
from ml_intern.judge.verdict import Verdict
from ml_intern.plan.plan import Plan
from tests.judge.synthetic import LOSING, WIDE, WINNING, criterion, experiment, paired, plan_of, run

TWO_LOOKS = {"confirm": 5, "extra": 5}
PLAN = plan_of(experiment(seeds=TWO_LOOKS))


def only(plan: Plan, evidence: Sequence[Evidence]) -> Verdict:
    (verdict,) = decide(plan, evidence)
    return verdict


def without(evidence: Sequence[Evidence], variant: str, seed: int) -> list[Evidence]:
    return [record for record in evidence if (record.variant, record.seed) != (variant, seed)]


def test_a_second_look_that_broke_off_leaves_the_verdict_of_the_first() -> None:
    first = only(PLAN, paired(WINNING))
    assert first.outcome == "reproduced"
    found = only(PLAN, [*paired(WINNING), run("method", 11, 0.1)])
    assert (found.outcome, found.seeds, found.effects) == ("reproduced", first.seeds, first.effects)
    left_out = "left out: 1 seed of a second look that was broken off before all its runs were made"
    assert found.reason == f"{first.reason}; {left_out}"


@pytest.mark.parametrize("more", [1, 2, 3, 4])
def test_nobody_can_stop_a_second_look_at_a_lucky_seed(more: int) -> None:
    lucky = [*WIDE, *WINNING[:more]]
    found = only(PLAN, paired(lucky))
    assert found.seeds == (1, 3, 5, 7, 9) and found.outcome == "inconclusive"
    assert f"left out: {more} seed" in found.reason
    unlucky = only(PLAN, paired([*WINNING, *[-10 * value for value in WINNING[:more]]]))
    assert unlucky.outcome == "reproduced", "nor be harmed by where it was cut"


def test_a_second_look_counts_once_it_is_whole() -> None:
    found = only(PLAN, paired([*WINNING, *LOSING]))
    assert len(found.seeds) == 10 and found.outcome == "inconclusive" and "left out" not in found.reason


@pytest.mark.parametrize("extra", [0, 5])
def test_a_first_look_that_broke_off_concludes_nothing(extra: int) -> None:
    plan = plan_of(experiment(seeds={"confirm": 5, "extra": extra}))
    for evidence in (paired(WINNING[:4]), without(paired(WINNING), "baseline", 9)):
        found = only(plan, evidence)
        assert found.outcome == "inconclusive"
        assert "broken off: 4 of the 5 seeds of the first look were run" in found.reason
    assert "it was not run" in only(plan, without(paired(WINNING), "baseline", 9)).reason


def test_a_gap_in_the_first_look_is_not_filled_by_later_seeds() -> None:
    assert only(PLAN, without(paired([*WINNING, *WINNING]), "method", 3)).outcome == "inconclusive"


def test_the_order_of_seeds_is_the_plans_and_not_that_of_their_numbers() -> None:
    seeds = PLAN.seeds("e", "confirm", 6)
    assert list(seeds) != sorted(seeds)
    for turned in (1, -1):
        values = dict(zip(seeds, [*WINNING, turned * 9.0], strict=True))
        evidence = [run(name, seed, 0.5 + value * (name == "method"))
                    for seed, value in values.items() for name in ("method", "baseline")]  # fmt: skip
        random.Random(1).shuffle(evidence)
        found = only(PLAN, evidence)
        assert found.outcome == "reproduced" and set(found.seeds) == set(seeds[:5])


def test_a_run_that_crashed_was_made_and_is_never_left_out() -> None:
    for seed in (9, 19):
        evidence = [*without(paired([*WINNING, *WINNING]), "method", seed), run("method", seed, None, detail="NaN")]
        found = only(PLAN, evidence)
        assert found.outcome == "inconclusive" and f"seed {seed}, method: NaN" in found.reason


def test_the_worst_value_is_sought_among_the_seeds_that_count() -> None:
    plan = plan_of(experiment(seeds=TWO_LOOKS, crash="worst"))
    evidence = [*paired(WINNING[:4]), run("baseline", 9, 0.51), run("method", 9, None), run("method", 11, -50.0)]
    assert min(only(plan, evidence).effects) == pytest.approx(-0.01)


def test_a_run_that_one_tests_contrast_does_not_need_leaves_that_test_alone() -> None:
    tests = [criterion(), criterion(claim="C2", contrast={"method": 1.0, "other": -1.0})]
    plan = plan_of(experiment(*tests, seeds=TWO_LOOKS))
    other = [run("other", record.seed, 0.5) for record in paired([*WINNING, *WINNING]) if record.variant == "method"]
    first, second = decide(plan, [*paired([*WINNING, *WINNING]), *other[:-1]])
    assert (len(first.seeds), len(second.seeds)) == (10, 5)


# p about 0.017: it stands alone at each of two looks (0.0294), and not beside another.
BARELY = [0.02, 0.14, 0.08, 0.17, 0.06]


def claims(count: int, **changes: object) -> Plan:
    tests = [criterion(claim=f"C{n}", minimal_effect=0.0, **changes) for n in range(1, count + 1)]
    return plan_of(experiment(*tests, seeds=TWO_LOOKS))


def test_claims_that_fall_to_holm_get_the_second_look_that_was_planned() -> None:
    (one,) = claims(1).experiments
    assert decide(claims(1), paired(BARELY))[0].outcome == "reproduced"
    assert not needs_second_look(claims(1), one, paired(BARELY))
    plan = claims(6)
    assert {verdict.outcome for verdict in decide(plan, paired(BARELY))} == {"inconclusive"}
    assert needs_second_look(plan, plan.experiments[0], paired(BARELY))
    assert {verdict.outcome for verdict in decide(plan, paired(BARELY * 2))} == {"reproduced"}
    assert not needs_second_look(plan, plan.experiments[0], paired(WINNING))


def test_claims_of_experiments_to_come_count_before_they_are_run_and_those_given_up_do_not() -> None:
    tests = [criterion(claim=f"C{n}", minimal_effect=0.0) for n in range(1, 7)]
    parts = [experiment(test, id=f"e{n}", seeds=TWO_LOOKS) for n, test in enumerate(tests)]
    plan = plan_of(*parts)
    assert needs_second_look(plan, parts[0], paired(BARELY, experiment="e0"))
    assert not needs_second_look(plan, parts[0], paired(WINNING, experiment="e0"))
    assert not needs_second_look(plan, parts[-1], paired(BARELY, experiment="e5")), "all before it were given up"
    failures = [experiment(criterion("failure", claim=f"C{n}"), id=f"e{n}", seeds=TWO_LOOKS) for n in range(2, 7)]
    beside = plan_of(parts[0], *failures)
    assert not needs_second_look(beside, parts[0], paired(BARELY, experiment="e0")), "a failure has no p value"
