"""Which confirm run becomes the model: the best on validation, whatever the sealed rows say."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from ml_intern.judge.evidence import Evidence, Guard, Measured
from ml_intern.publish.bundle import best_run
from tests.judge.synthetic import criterion, experiment, run

LOWER = {"select": {"name": "log_loss", "rows": "validation"}, "select_higher_is_better": False}


def candidate(
    seed: int, validation: float | None, sealed: float = 0.5, name: str = "accuracy", **other: Any
) -> Evidence:
    """A run that is good at validation and something else on sealed rows."""
    metrics = {
        f"{name}@test": Measured(value=sealed, n=9),
        f"{name}@validation": Measured(value=validation, n=9 if validation is not None else 0),
    }
    return run("method", seed, sealed).model_copy(update={"metrics": metrics, **other})


def chosen(records: Sequence[Evidence], **changes: Any) -> int | None:
    found = best_run(experiment(criterion(), **changes), records)
    return found.seed if found else None


@pytest.mark.parametrize("sealed", list(itertools.permutations([0.1, 0.5, 0.9])))
def test_the_run_that_is_best_on_validation_is_chosen_whatever_its_sealed_score(sealed: Sequence[float]) -> None:
    records = [candidate(1, 0.7, sealed[0]), candidate(3, 0.9, sealed[1]), candidate(5, 0.8, sealed[2])]
    assert {chosen(order) for order in itertools.permutations(records)} == {3}
    losses = [candidate(1, 0.7, sealed[0], "log_loss"), candidate(3, 0.2, sealed[1], "log_loss")]
    assert {chosen(order, **LOWER) for order in itertools.permutations(losses)} == {3}


def test_of_equally_good_runs_the_one_with_the_lowest_seed_is_chosen() -> None:
    records = [candidate(5, 0.8, 0.9), candidate(3, 0.8, 0.1), candidate(7, 0.8, 0.5)]
    assert {chosen(order) for order in itertools.permutations(records)} == {3}


def test_of_runs_of_one_seed_that_are_equally_good_the_variant_named_first_is_chosen_whichever_ended_first() -> None:
    first = candidate(3, 0.8, 0.1)
    second = first.model_copy(update={"variant": "baseline", "run_id": "r-second"})
    names = [variant.name for variant in experiment(criterion()).variants]
    for order in itertools.permutations([first, second]):
        found = best_run(experiment(criterion()), order)
        assert found is not None and found.variant == min("method", "baseline", key=names.index)


@pytest.mark.parametrize(
    "better",
    [
        candidate(3, 0.9, phase="explore"),
        candidate(3, 0.9, experiment="another"),
        candidate(3, 0.9, outcome="invalid"),
        candidate(3, 0.9, guards=(Guard(name="leak", message="m"),)),
        candidate(3, None),
    ],
    ids=["explored", "of another experiment", "not ok", "with a fatal guard", "without a number"],
)
def test_a_better_run_that_does_not_count_is_not_chosen(better: Evidence) -> None:
    assert chosen([better, candidate(1, 0.2)]) == 1
    assert chosen([better]) is None


def test_a_guard_that_is_not_fatal_keeps_no_run_from_being_chosen() -> None:
    told = (Guard(name="too good", message="m", fatal=False),)
    assert chosen([candidate(1, 0.2), candidate(3, 0.9, guards=told)]) == 3
