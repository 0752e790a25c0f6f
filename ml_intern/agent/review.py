"""The planner's look at what an experiment brought, before the next begins: go on, amend what is left, or stop.

It is shown evidence, verdicts and notes, never logs. What it decides is one event.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ml_intern.agent.context import Context
from ml_intern.agent.desk import amendments
from ml_intern.errors import ModelError, PlanError
from ml_intern.judge.decide import decide
from ml_intern.judge.guards import with_group_guards
from ml_intern.judge.ledger import Ledger
from ml_intern.judge.order import by_plan
from ml_intern.plan.amendment import Amendment, Changes, in_force
from ml_intern.plan.plan import Experiment, Plan
from ml_intern.resources import render_prompt
from ml_intern.session.state import tries_of
from ml_intern.tools.registry import fenced

_TRIES = 2  # of one experiment
_NOTES = (20, 5)  # that the planner is shown; fewer where its context is short, then none


class ProposedAmendment(BaseModel):
    """`again`: the experiment that was given up is tried once more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    experiment: str
    changes: Changes = Changes()
    reason: str = Field(min_length=1, max_length=2000)
    again: bool = False

    @property
    def made(self) -> Amendment:
        return Amendment(**dict(self), by="planner")


class Review(BaseModel):
    """Structured answer to the review prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    decision: Literal["continue", "amend", "stop"]
    reason: str = Field(min_length=1, max_length=2000)
    amendments: tuple[ProposedAmendment, ...] = ()


def review(context: Context, plan: Plan, experiment: Experiment, ledger: Ledger) -> bool:
    """Whether `experiment` is to be tried once more. The planner is asked where there is something to decide, once
    after each try. Raises BudgetExhausted."""
    state = context.state
    tries = tries_of(state, experiment.id)
    may_again = experiment.id in state.blocked and 0 < tries < _TRIES
    still_open = [
        one for one in plan.experiments[plan.experiments.index(experiment) + 1 :] if one.id not in state.blocked
    ]
    if f"{experiment.id}/{tries}" in state.reviewed or not (still_open or may_again):
        return False

    def check(answer: Review) -> None:
        _check(answer, plan, amendments(context), {one.id for one in still_open}, experiment.id if may_again else "")

    def asked(notes: int) -> Review:
        prompt = _prompt(context, plan, experiment, ledger, still_open, may_again, notes)
        return context.ask_for("review", prompt, Review, check)

    fewer = iter(_NOTES)
    try:
        found = context.room.fitting(lambda: context.plans, lambda: asked(next(fewer, 0)))
    except ModelError as error:
        context.emit("note", text=f"The planner did not review {experiment.id}: {error.what}")
        return False
    made = [one.made for one in found.amendments]
    context.emit(
        "plan.reviewed",
        experiment=experiment.id,
        decision=found.decision,
        reason=found.reason,
        amendments=[one.model_dump(mode="json") for one in made],
        stops=[one.id for one in still_open] if found.decision == "stop" else [],
    )
    return any(one.again for one in made)


def _check(answer: Review, plan: Plan, before: tuple[Amendment, ...], still_open: set[str], again: str) -> None:
    """Raises PlanError with what is wrong."""
    if (answer.decision == "amend") != bool(answer.amendments):
        raise PlanError("`amendments` goes with the decision `amend`, and only with it.")
    for one in answer.amendments:
        allowed = {again} - {""} if one.again else still_open
        if one.experiment not in allowed:
            names = ", ".join(sorted(allowed)) or "none"
            raise PlanError(f"{one.experiment!r} cannot be amended so; open are: {names}.")
        if one.changes.resources or one.changes.requirements:
            raise PlanError("Resources are asked for while an experiment is built, not here.")
        in_force(plan, (*before, one.made), one.experiment)


def _prompt(
    context: Context,
    plan: Plan,
    experiment: Experiment,
    ledger: Ledger,
    still_open: list[Experiment],
    may_again: bool,
    most: int,
) -> str:
    """`most`: of the latest notes."""
    state = context.state
    tested = {test.claim for test in experiment.tests}
    keys = {"claim", "outcome", "reason", "effect", "low", "high", "means", "setting"}
    verdicts = [
        verdict.model_dump(mode="json", include=keys)
        for verdict in decide(plan, with_group_guards(ledger.evidence))
        if verdict.claim in tested
    ]
    explored = [
        {"variant": one.variant, "outcome": one.outcome, "validation": one.metrics[experiment.select.key].value}
        for one in by_plan(plan, ledger.evidence)
        if one.experiment == experiment.id and one.phase == "explore" and experiment.select.key in one.metrics
    ]
    limits = context.budget.limits
    about: dict[str, Any] = {
        "experiment": experiment.id,
        "verdicts": verdicts,
        "explored": explored,
        "iterations": f"{state.iterations} of {limits.iterations}",
        "may_be_tried_again": may_again,
    }
    made = amendments(context)
    asked_about = ([experiment] if may_again else []) + still_open
    shown = [
        one.model_dump(mode="json", include={"id", "title", "settings", "memory_mb", "timeout_seconds"})
        | {"variants": [variant.model_dump(mode="json") for variant in one.variants]}
        for one in (in_force(plan, made, each.id) for each in asked_about)
    ]
    latest = state.notes[-most:] if most else ()
    notes = fenced("notes", "\n".join(latest)) if latest else ""
    reason = state.blocked.get(experiment.id, "")
    given_up = fenced("output", reason) if reason else ""
    return context.with_preferences(render_prompt("review", about=about, open=shown, notes=notes, given_up=given_up))
