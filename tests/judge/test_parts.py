"""A claim that is tested in several places, and when a second look is worth its compute."""

from ml_intern.judge.decide import decide, needs_second_look
from tests.judge.synthetic import WIDE, WINNING, criterion, experiment, paired, plan_of, runs


def test_each_test_of_a_claim_stands_in_its_verdict_in_the_plans_order() -> None:
    first, second = experiment(criterion(), id="one"), experiment(criterion(), id="two")
    evidence = [*paired(WINNING, experiment="one"), *paired([-value for value in WINNING], experiment="two")]
    (verdict,) = decide(plan_of(first, second), evidence)
    assert verdict.outcome == "partly"
    assert [(part.experiment, part.outcome) for part in verdict.parts] == [
        ("one", "reproduced"),
        ("two", "not reproduced"),
    ]
    assert "not reproduced (two, accuracy@test), reproduced (one, accuracy@test)" in verdict.reason


def test_what_was_refuted_is_said_though_another_part_is_open() -> None:
    first, second = experiment(criterion(), id="one"), experiment(criterion(), id="two")
    evidence = [*paired(WIDE, experiment="one"), *paired([-value for value in WINNING], experiment="two")]
    (verdict,) = decide(plan_of(first, second), evidence)
    refuted = verdict.parts[1]
    assert (verdict.outcome, refuted.outcome) == ("inconclusive", "not reproduced")
    assert verdict.reason == f"{verdict.parts[0].reason}; not reproduced elsewhere: {refuted.reason}"


def test_a_claim_that_is_tested_once_has_no_parts() -> None:
    (verdict,) = decide(plan_of(experiment()), paired(WINNING))
    assert verdict.parts == ()


def test_an_abandoned_experiment_is_named_in_the_part_that_rested_on_it() -> None:
    plan = plan_of(experiment(criterion(), id="one"), experiment(criterion(), id="two"))
    (verdict,) = decide(plan, paired(WINNING, experiment="one"))
    explained = verdict.explained({"two": "no memory"})
    assert explained.outcome == "inconclusive"
    assert explained.parts[1].reason == "its experiment was given up: no memory"
    assert explained.parts[0] == verdict.parts[0]


def test_a_second_look_is_taken_where_more_seeds_could_decide() -> None:
    one = experiment(seeds={"confirm": 5, "extra": 5})
    assert needs_second_look(plan_of(one), one, paired(WIDE))
    assert not needs_second_look(plan_of(one), one, paired(WINNING))


def test_no_second_look_where_a_crash_leaves_the_claim_open_whatever_comes() -> None:
    one = experiment(seeds={"confirm": 5, "extra": 5})
    crashed = runs({"method": [0.5, 0.9, None, 0.4, 0.8], "baseline": [0.6, 0.5, 0.6, 0.5, 0.6]})
    assert not needs_second_look(plan_of(one), one, crashed)


def test_the_interval_of_an_equivalence_is_the_one_that_decided() -> None:
    (verdict,) = decide(plan_of(experiment(criterion("equivalence"))), paired([0.01, -0.01, 0.02, 0.0, -0.01]))
    assert verdict.outcome == "reproduced"
    assert f"{verdict.low:.4g} to {verdict.high:.4g}" in verdict.reason
