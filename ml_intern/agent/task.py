"""What holds for a task that a person set: its numbers are the person's, and a draft of a plan cannot change them."""

from __future__ import annotations

from ml_intern.errors import PlanError
from ml_intern.judge.metrics import OUTSIDE, ceiling, higher_is_better, is_metric
from ml_intern.plan.claim import Claim
from ml_intern.plan.grounding import quantities
from ml_intern.plan.plan import ClaimTest, Plan
from ml_intern.read.paper import Paper


def task_of(paper: Paper | None) -> str:
    """The task's words; empty for a paper."""
    if paper is None or paper.source.kind != "task":
        return ""
    return "\n\n".join(text for _, text in paper.texts())


def without_threshold(paper: Paper, claims: tuple[Claim, ...]) -> tuple[str, ...]:
    """Numbers of the task that no claim takes as one to reach, as printed."""
    taken = {number for claim in claims if claim.kind == "threshold" for number in quantities(claim.quote)}
    return tuple(number for number in quantities(task_of(paper)) if number not in taken)


def check_task(plan: Plan) -> None:
    """Raises PlanError where a test does not ask what the task asks: another number, another side, seen rows."""
    if not plan.paper.task:
        return
    claims = {claim.id: claim for claim in plan.claims}
    for experiment in plan.experiments:
        for test in experiment.tests:
            if problem := _problem(claims[test.claim], test):
                raise PlanError(f"The test of {test.claim} in {experiment.id} is not what the task asks.", problem)


def _problem(claim: Claim, test: ClaimTest) -> str:
    if claim.kind == "threshold" and test.kind not in ("threshold", "measurement"):
        return f"a claim of kind threshold is tested by kind threshold, not {test.kind}"
    if test.kind != "threshold":
        return ""
    name = test.metric.name
    found = quantities(claim.quote)
    values = {value for several in found.values() for value in several}
    if "error" in claim.quote.lower():  # 5 % errors are an accuracy of 0.95
        values |= {1 - value for value in values if 0 < value < 1}
    if not any(abs(value - (test.target or 0.0)) <= 1e-9 * max(1.0, abs(value)) for value in values):
        return f"its target {test.target:g} is none of the numbers in the quote: {', '.join(found) or 'there is none'}"
    if name in OUTSIDE:
        return "" if not test.higher_is_better else f"less {name} is better"
    if is_metric(name) and test.higher_is_better != higher_is_better(name):
        return f"of {name}, {'higher' if higher_is_better(name) else 'lower'} is better"
    best = ceiling(name) if is_metric(name) else None
    if best is not None and ((test.target or 0.0) > best if test.higher_is_better else (test.target or 0.0) < best):
        return f"its target {test.target:g} lies beyond the best value of {name}, {best:g}"
    return "" if test.metric.rows.startswith("test") else "it is measured on rows that training sees; use rows: test"
