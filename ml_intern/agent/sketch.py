"""A plan in small steps, for a model that the whole form is too much for: it names the parts of an experiment, and code
puts in what follows from the claim: kind of test, contrast, number to reach, rows, seeds."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from ml_intern.agent.context import Context
from ml_intern.agent.demand import demanded
from ml_intern.agent.task import problem_of
from ml_intern.errors import PlanError
from ml_intern.judge.metrics import OUTSIDE, fits, higher_is_better, metric_names
from ml_intern.judge.names import names_only
from ml_intern.plan.claim import Claim
from ml_intern.plan.plan import (
    ClaimTest,
    DataSpec,
    Experiment,
    LeftOut,
    MetricSpec,
    Name,
    Scale,
    Seeds,
    Setting,
    Variant,
)
from ml_intern.resources import render_prompt

AT_MOST = 3  # experiments of a plan that is made so
OF_A_COMPARISON = ("baseline", "settings", "smoke", "minimal_effect")  # fields of a sketch
_COMPARED = ("direction", "magnitude")
_TASKS = ("classification", "regression", "sequence", "language-model")
_METRICS = [*dict.fromkeys(name for task in _TASKS for name in metric_names(task))]


def _tidied(value: object) -> object:
    """`k-nearest neighbours` as the name that it can be."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", value).strip("-.") if isinstance(value, str) else value


Tidied = Annotated[Name, BeforeValidator(_tidied)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Arm(_Part):
    """`settings`: what it has of its own."""

    name: Tidied
    settings: dict[str, float | int | bool] = {}


class Sketch(_Part):
    """Structured answer to the sketch prompt."""

    data: str = Field(min_length=1, max_length=300, description="which data, and where they come from")
    inputs: tuple[Tidied, ...] = Field(min_length=1, max_length=8, description="names of the input columns")
    label: Tidied = Field(description="name of the column that is predicted")
    task: Literal["classification", "regression", "sequence", "language-model"]
    metric: str = Field(json_schema_extra={"enum": list(_METRICS)})
    method: Arm
    baseline: Arm | None = Field(default=None, description="only where a claim compares")
    settings: dict[str, float | int | bool] = Field(default={}, description="of the training of both")
    smoke: dict[str, float | int | bool] = Field(default={}, description="the same, for a first try of seconds")
    minimal_effect: float = Field(default=0.0, ge=0, description="the smallest difference that counts")
    setting: Setting = "analogue"
    deviations: tuple[str, ...] = Field(default=(), max_length=5)


def sketched(
    context: Context, about: dict[str, str], claims: tuple[Claim, ...], scale: Scale, whole: bool
) -> tuple[tuple[Experiment, ...], tuple[LeftOut, ...]]:
    """The planner's experiments in small steps, and the claims that they leave out. `whole`: one experiment tests all
    claims, as the parts of a task are tested; else each has its own. Raises InvalidAnswer."""
    able = [claim for claim in claims if not sketchable(claim)]
    left = [LeftOut(claim=claim.id, reason=sketchable(claim)) for claim in claims if claim not in able]
    groups = [tuple(able)] if whole and able else [(claim,) for claim in able[:AT_MOST]]
    reason = f"the plan was made in small steps, and the first {AT_MOST} claims come first"
    left += [LeftOut(claim=claim.id, reason=reason) for claim in able if not any(claim in group for group in groups)]
    experiments = []
    for place, group in enumerate(groups, start=1):
        shown = [
            claim.model_dump(mode="json", exclude={"anchor", "conditions", "subject", "numbers"}) for claim in group
        ]
        compared = any(claim.kind in _COMPARED for claim in group)
        prompt = context.with_preferences(render_prompt("sketch", about=about, claims=shown, compared=compared))
        id = f"e{place}"

        def check(answer: Sketch, group: tuple[Claim, ...] = group, id: str = id) -> None:
            experiment_of(answer, group, id, scale)

        found = context.ask_for("sketch", prompt, Sketch, check, schema=sketch_schema(group))
        experiment, untested = experiment_of(found, group, id, scale)
        experiments.append(experiment)
        left += untested
    return tuple(experiments), tuple(left)


def sketch_schema(claims: tuple[Claim, ...]) -> dict[str, Any]:
    """The schema of a sketch, narrowed to the metric that the claims name, where it is one of the harness's."""
    schema = Sketch.model_json_schema()
    if not any(claim.kind in _COMPARED for claim in claims):
        for name in OF_A_COMPARISON:  # whoever builds it finds the numbers
            del schema["properties"][name]
        del schema["$defs"]["Arm"]["properties"]["settings"]
    named = [name for name in _METRICS if any(claim.metric.lower() == name for claim in claims)]
    if named:
        schema["properties"]["metric"]["enum"] = named
        schema["properties"]["task"]["enum"] = [one for one in _TASKS if any(fits(name, one) for name in named)]
    return schema


def sketchable(claim: Claim) -> str:
    """Why a claim cannot be tested by a plan that is made so; empty where it can."""
    if claim.kind in (*_COMPARED, "threshold", "measurement"):
        return ""
    return f"the plan was made in small steps, which know no test of kind {claim.kind}"


def experiment_of(sketch: Sketch, claims: tuple[Claim, ...], id: str, scale: Scale) -> tuple[Experiment, list[LeftOut]]:
    """The experiment, and those of `claims` that it cannot test. Raises PlanError and ValueError, in words for who made
    the sketch."""
    if not fits(sketch.metric, sketch.task):
        names = ", ".join(metric_names(sketch.task))
        raise PlanError(f"The metric {sketch.metric} does not belong to the task {sketch.task}.", next=f"Use {names}.")
    tests, left = [], []
    for claim in claims:
        made = _test(sketch, claim)
        if isinstance(made, ClaimTest):
            tests.append(made)
        else:
            left.append(LeftOut(claim=claim.id, reason=made))
    if not tests:
        raise PlanError("No claim is tested so.", "; ".join(f"{one.claim}: {one.reason}" for one in left))
    compared = any(len(test.contrast) > 1 for test in tests)
    arms = [sketch.method, sketch.baseline] if compared and sketch.baseline is not None else [sketch.method]
    seen = MetricSpec(name=sketch.metric)
    chosen = metric_names(sketch.task)[0] if sketch.metric in OUTSIDE else sketch.metric
    experiment = Experiment(
        id=id,
        title=claims[0].statement[:200],
        data=DataSpec(
            name=sketch.data,
            revision="as data.py makes it; the table's hash stands in the evidence",
            inputs=sketch.inputs if sketch.task != "language-model" else (sketch.label,),
            label=sketch.label,
            task=sketch.task,
        ),
        variants=tuple(Variant(name=arm.name, settings=arm.settings) for arm in arms),
        settings=sketch.settings,
        smoke=sketch.smoke,
        seeds=Seeds(explore=0, confirm=2, extra=0) if scale == "smoke" else Seeds(),
        metrics=(seen,),
        select=MetricSpec(name=chosen, rows="validation"),
        select_higher_is_better=higher_is_better(chosen),
        tests=tuple(tests),
        setting=sketch.setting,
        deviations=sketch.deviations,
    )
    if same := names_only(experiment):
        raise PlanError(f"{' and '.join(same)} differ in no setting.", next="Say in their `settings` how they differ.")
    return experiment, left


def _test(sketch: Sketch, claim: Claim) -> ClaimTest | str:
    """The test of a claim, or why there is none."""
    if reason := sketchable(claim):
        return reason
    contrast = {sketch.method.name: 1.0}
    if claim.kind in _COMPARED:
        if sketch.baseline is None or sketch.baseline.name == sketch.method.name:
            raise PlanError(
                f"{claim.id} says that one thing is better than another: it needs a `baseline` with a name of its own.",
                next=f"It compares with: {claim.baseline or 'the simplest thing that answers the same question'}.",
            )
        contrast[sketch.baseline.name] = -1.0
    if claim.kind == "magnitude" and not sketch.minimal_effect:
        return f"how much better {sketch.metric} has to be is not said; put the size that it states into minimal_effect"
    fields = {
        "claim": claim.id,
        "kind": claim.kind,
        "metric": MetricSpec(name=sketch.metric),
        "higher_is_better": higher_is_better(sketch.metric),
        "contrast": contrast,
        "minimal_effect": sketch.minimal_effect if claim.kind in _COMPARED else 0.0,
    }
    if claim.kind != "threshold":
        return ClaimTest.model_validate(fields)
    fitting = [
        test
        for value in demanded(claim, sketch.metric, higher_is_better(sketch.metric))
        if not problem_of(claim, test := ClaimTest.model_validate(fields | {"target": value}))
    ]
    if len(fitting) == 1:
        return fitting[0]
    shown = ", ".join(f"{test.target:g}" for test in fitting) or "none"
    return f"which number {sketch.metric} is to reach is not clear from its quote; possible: {shown}"
