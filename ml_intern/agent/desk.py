"""Follows an executor's wishes about the plan: amends its experiment, takes notes, looks resources up.

An amendment is logged before it takes effect, so a crash leaves it in force or not made at all.
"""

from __future__ import annotations

from collections.abc import Callable

from pydantic import ValidationError

from ml_intern.agent.context import Context
from ml_intern.errors import InputError
from ml_intern.judge.laboratory import Laboratory
from ml_intern.plan.amendment import Amendment, Changes, amended, in_force
from ml_intern.plan.plan import Experiment
from ml_intern.run.resources.broker import Broker, Provided
from ml_intern.run.resources.resource import Resource
from ml_intern.tools.registry import fenced


def amendments(context: Context) -> tuple[Amendment, ...]:
    """All of the session, in order. Raises InputError where one is none, as in a session that somebody made up."""
    try:
        return tuple(Amendment.model_validate(one) for one in context.state.amendments)
    except ValidationError as error:
        raise InputError(
            "An amendment in the session's log is none.", str(error), "Begin anew: ml-intern run --plan FILE"
        ) from None


class PlanDesk:
    """Of one experiment in the building. `provide` fetches what an experiment names. Implements `tools.bench.Desk`."""

    def __init__(
        self, context: Context, laboratory: Laboratory, broker: Broker, provide: Callable[[Experiment], Provided]
    ) -> None:
        self._context, self._laboratory, self._broker, self._provide = context, laboratory, broker, provide
        self._packages: dict[str, tuple[str, ...]] = {}
        self._pinned: dict[Resource, Resource] = {}  # what a person approved of is what is fetched, also of a branch

    def amend(self, changes: Changes, reason: str) -> str:
        plan, now = self._laboratory.plan, self._laboratory.experiment
        approved = in_force(plan, (), now.id)
        after = amended(now, changes, approved)
        if after == now:
            return "the plan says so already"
        provided = self._provide(after)
        amendment = Amendment(experiment=now.id, changes=changes, reason=reason, by="executor")
        self._context.emit("amendment", **amendment.model_dump(mode="json"))
        self._laboratory.amend(after, provided)
        return f"amended:\n{fenced('amendment', amendment.shown)}"  # a licence is what somebody wrote

    def note(self, text: str) -> None:
        said = f"{self._laboratory.experiment.id}: {text}"
        if said not in self._context.state.notes:  # a call that a crash cut off is made again
            self._context.emit("note", text=said)

    def pinned(self, resource: Resource) -> Resource:
        if resource not in self._pinned:
            self._pinned[resource] = self._broker.pin(resource)
        return self._pinned[resource]

    def pinned_packages(self, requirement: str) -> tuple[str, ...]:
        if requirement not in self._packages:
            self._packages[requirement] = self._broker.pin_packages((requirement,))
        return self._packages[requirement]
