"""An amendment: a change of one experiment after its plan was approved, with the reason. What is judged stays frozen.

Claims, tests, variants, metrics, data, seeds and split cannot be amended: whoever wants others writes another plan.
Seeds go on to be drawn from the approved plan's hash, so that no amendment can choose them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml_intern.errors import PlanError
from ml_intern.plan.mistakes import mistakes
from ml_intern.plan.plan import Experiment, Plan, StartingModel
from ml_intern.run.resources.resource import Resource

_MOST = 4  # times the approved memory and time


class Changes(BaseModel):
    """What may be changed of an experiment that is not confirmed yet. `settings` and `smoke` are laid on those of the
    plan, for every variant alike; `memory_mb` and `timeout_seconds` of one run are at most four times what was
    approved; `resources` and `requirements` are added."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings: dict[str, Any] = {}
    smoke: dict[str, Any] = {}
    memory_mb: int | None = Field(default=None, gt=0)
    timeout_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    resources: tuple[Resource, ...] = ()
    requirements: tuple[str, ...] = ()


class Amendment(BaseModel):
    """`by` the planner, between two experiments, or the executor, while it builds this one. `again`: the experiment had
    been given up, and is tried once more."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    experiment: str
    changes: Changes
    reason: str = Field(min_length=1, max_length=2000)
    by: Literal["planner", "executor"]
    again: bool = False

    @property
    def shown(self) -> str:
        """In a line, for a person."""
        what = [f"{key} {_short(value)}" for key, value in self.changes.settings.items()]
        what += [f"{key} {_short(value)} in smoke runs" for key, value in self.changes.smoke.items()]
        what += [f"memory {self.changes.memory_mb} MB"] if self.changes.memory_mb else []
        what += [f"{self.changes.timeout_seconds:g} s for a run"] if self.changes.timeout_seconds else []
        what += [resource.shown for resource in self.changes.resources]
        what += list(self.changes.requirements)
        again = "tried again; " if self.again else ""
        return f"{self.experiment}: {again}{', '.join(what) or 'nothing changed'} (the {self.by}: {self.reason})"


def in_force(plan: Plan, amendments: Iterable[Amendment], experiment: str) -> Experiment:
    """The plan's experiment with what was amended of it. Raises PlanError where an amendment does not fit."""
    approved = next((one for one in plan.experiments if one.id == experiment), None)
    if approved is None:
        raise PlanError(f"The plan has no experiment {experiment}.")
    found = approved
    for amendment in amendments:
        if amendment.experiment == experiment:
            found = amended(found, amendment.changes, approved)
    return found


def amended(experiment: Experiment, changes: Changes, approved: Experiment) -> Experiment:
    """`experiment` with `changes`, within what was `approved`. Raises PlanError."""
    for variant in approved.variants:
        if fixed := sorted(changes.settings.keys() & variant.settings.keys()):
            raise PlanError(
                f"{fixed[0]} is what the variants of {experiment.id} differ in; it cannot be amended.",
                next="Change settings that all variants share.",
            )
    for name, limit in (("memory_mb", approved.memory_mb), ("timeout_seconds", approved.timeout_seconds)):
        wanted = getattr(changes, name)
        if wanted is not None and wanted > _MOST * limit:
            raise PlanError(f"{name} can be at most {_MOST * limit:g}.", f"{limit:g} was approved")
    data = experiment.model_dump()
    data["settings"] |= changes.settings
    data["smoke"] |= changes.smoke
    data["memory_mb"] = changes.memory_mb or experiment.memory_mb
    data["timeout_seconds"] = changes.timeout_seconds or experiment.timeout_seconds
    data["resources"] = (*experiment.resources, *_new(changes.resources, experiment.resources))
    # Whoever fetches a model may train from it: its weights must not be handed in as trained ones.
    starting = [StartingModel(id=one.id, revision=one.revision) for one in changes.resources if one.kind == "model"]
    known = {one.id for one in experiment.base_models}
    data["base_models"] = (*experiment.base_models, *(one for one in starting if one.id not in known))
    data["requirements"] = (*experiment.requirements, *_new(changes.requirements, experiment.requirements))
    try:
        return Experiment.model_validate(data)
    except ValidationError as error:
        raise PlanError(f"The amendment of {experiment.id} does not fit.", mistakes(error)[0].words) from None


def _new(wanted: Iterable[Any], there: Iterable[Any]) -> list[Any]:
    known = list(there)
    return [one for one in wanted if one not in known]


def _short(value: Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
