"""Criteria of a plan that say something else than they seem to. Knows nothing of claims' words or of evidence."""

from __future__ import annotations

from collections.abc import Iterator

from ml_intern.errors import PlanError
from ml_intern.judge.metrics import higher_is_better, is_metric
from ml_intern.plan.plan import ClaimTest, Experiment, MetricSpec, Plan


def check_criteria(plan: Plan) -> None:
    """Raises PlanError where a plan turns a metric around: then the worse variant wins, and the worst run is published
    (which side a claim takes is for its contrast to say); where a magnitude has no size; and where a claim of a size is
    tested without one."""
    for number, experiment in enumerate(plan.experiments):
        stated, key = experiment.select_higher_is_better, "select_higher_is_better"
        _check_side(experiment, experiment.select, stated, key, ("experiments", number, key))
        for position, test in enumerate(experiment.tests):
            where = f"higher_is_better in the test of {test.claim}"
            place = ("experiments", number, "tests", position)
            _check_side(experiment, test.metric, test.higher_is_better, where, (*place, "higher_is_better"))
            # Not in the model of a plan: plans of before, in which it is 0, can still be opened.
            if test.kind == "magnitude" and test.minimal_effect <= 0:
                raise PlanError(
                    f"The test of {test.claim} in {experiment.id} is of kind magnitude and has no minimal_effect.",
                    "any difference, however small, would be enough",
                    "Write the size that the claim states as minimal_effect.",
                    place,
                )
    for spot, experiment, test in tested_otherwise(plan, "magnitude"):
        raise PlanError(
            f"{test.claim} is of kind magnitude, and {experiment.id} tests it by kind {test.kind}.",
            "the size that it states could not be missed",
            "Test it by kind magnitude, with the size as minimal_effect, or leave it out with the reason.",
            spot,
        )


def tested_otherwise(plan: Plan, kind: str) -> Iterator[tuple[tuple[str | int, ...], Experiment, ClaimTest]]:
    """Tests of claims of this kind that no test of the same kind takes, each with its place in the plan."""
    held = {test.claim for experiment in plan.experiments for test in experiment.tests if test.kind == kind}
    open_claims = {claim.id for claim in plan.claims if claim.kind == kind} - held
    for number, experiment in enumerate(plan.experiments):
        for position, test in enumerate(experiment.tests):
            if test.claim in open_claims:
                yield ("experiments", number, "tests", position), experiment, test


def _check_side(
    experiment: Experiment, metric: MetricSpec, stated: bool, where: str, place: tuple[str | int, ...]
) -> None:
    audited = {one.name: one.higher_is_better for one in experiment.audited}
    right = higher_is_better(metric.name) if is_metric(metric.name) else audited.get(metric.name, stated)
    if stated != right:
        raise PlanError(
            f"Experiment {experiment.id} says that {'higher' if stated else 'lower'} {metric.name} is better.",
            f"of {metric.name}, {'higher' if right else 'lower'} is better",
            f"Write {where}: {str(right).lower()}. Where a claim says that the baseline has the better"
            f" {metric.name}, give the baseline weight 1 and the method -1 in the contrast.",
            place,
        )
