"""A plan that turns a metric around, or asks less than its words, is refused before anything runs."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ml_intern.agent.phases import PlanDraft, draft_plan
from ml_intern.agent.plan_checks import check_metrics
from ml_intern.agent.room import Room
from ml_intern.errors import PlanError
from ml_intern.judge.metrics import metric_names
from ml_intern.plan.grounding import Grounded
from ml_intern.plan.plan import Experiment, Plan
from ml_intern.recipes.book import Recipe, load_book
from tests.judge.synthetic import claim, criterion, experiment, plan_of

TASKS = ("classification", "regression", "sequence", "language-model")
LOWER = ("log_loss", "ece", "overconfidence", "mse", "mae", "lm_loss", "perplexity", "bits_per_byte", "masked_lm_loss",
         "wall_seconds", "peak_memory_mb", "parameters")  # fmt: skip


def data_of(task: str) -> dict[str, Any]:
    return {"name": "n", "revision": "r", "inputs": ["y"], "label": "y", "task": task}


def measured_by(name: str, task: str, tested_up: bool, selected_up: bool) -> Plan:
    test = criterion(metric={"name": name}, higher_is_better=tested_up)
    select = {"name": name, "rows": "validation"}
    return plan_of(experiment(test, data=data_of(task), select=select, select_higher_is_better=selected_up))


@pytest.mark.parametrize(("task", "name"), [(task, name) for task in TASKS for name in metric_names(task)])
def test_a_metric_that_is_turned_around_is_refused_in_test_and_selection(task: str, name: str) -> None:
    up = name not in LOWER
    check_metrics(measured_by(name, task, up, up))
    side = str(up).lower()
    with pytest.raises(PlanError, match=f"Write higher_is_better in the test of C1: {side}"):
        check_metrics(measured_by(name, task, not up, up))
    with pytest.raises(PlanError, match=f"Write select_higher_is_better: {side}"):
        check_metrics(measured_by(name, task, up, not up))


def test_a_number_of_bins_does_not_hide_which_side_is_better() -> None:
    with pytest.raises(PlanError, match="lower is better"):
        check_metrics(measured_by("ece:100", "classification", True, False))


def test_an_audited_metric_has_one_side_in_the_whole_plan() -> None:
    audited = [{"name": "taste", "higher_is_better": False, "best": 0.0}]
    tests = [criterion(metric={"name": "taste"}, higher_is_better=up) for up in (False, True)]
    check_metrics(plan_of(experiment(tests[0], audited=audited)))
    with pytest.raises(PlanError, match="of taste, lower is better"):
        check_metrics(plan_of(experiment(tests[1], audited=audited)))


def test_a_claim_that_the_method_is_worse_is_told_by_its_contrast() -> None:
    worse = criterion(metric={"name": "ece"}, higher_is_better=False, contrast={"method": -1.0, "baseline": 1.0})
    check_metrics(plan_of(experiment(worse)))


@pytest.mark.parametrize("recipe", load_book(), ids=lambda recipe: recipe.id)
def test_no_recipe_turns_a_metric_around(recipe: Recipe) -> None:
    tests = [{**test, "claim": pattern.id} for pattern in recipe.claims for test in pattern.tests]
    check_metrics(plan_of(Experiment.model_validate({**recipe.at("small"), "tests": tests})))


def test_a_magnitude_needs_a_size() -> None:
    check_metrics(plan_of(experiment(criterion("magnitude", minimal_effect=0.001))))
    with pytest.raises(PlanError, match="of kind magnitude and has no minimal_effect"):
        check_metrics(plan_of(experiment(criterion("magnitude", minimal_effect=0.0))))


def test_a_draft_that_names_a_file_of_this_machine_is_refused_and_not_asked_for() -> None:
    given = experiment(base_models=[{"id": "a/b", "revision": "c", "path": "~"}])
    asked: list[dict[str, Any]] = []

    def ask_for(purpose: str, prompt: str, answer: type, check: Callable[[Any], object], schema: dict[str, Any]) -> Any:
        asked.append(schema)
        draft = PlanDraft(experiments=(given,))
        check(draft)
        return draft

    context: Any = SimpleNamespace(
        ask_for=ask_for,
        compute=SimpleNamespace(hardware="h"),
        plans=SimpleNamespace(id="openai/x", context_chars=1_000_000),
        with_preferences=lambda prompt: prompt,
        room=Room(()),
    )
    paper: Any = SimpleNamespace(title="t", source=SimpleNamespace(kind="tex"))
    with pytest.raises(PlanError, match=r"would read ~ of this machine"):
        draft_plan(context, paper, Grounded(claims=(), dropped=(), findings=()), "small")
    assert set(asked[0]["$defs"]["StartingModel"]["properties"]) == {"id", "revision", "tensors"}


@pytest.mark.parametrize("kind", ["direction", "trend", "equivalence", "measurement"])
def test_a_claim_of_a_size_is_tested_by_one(kind: str) -> None:
    sized = (claim("C1", "magnitude"),)
    with pytest.raises(PlanError, match=f"C1 is of kind magnitude, and e tests it by kind {kind}"):
        check_metrics(plan_of(experiment(criterion(kind)), claims=sized))
    both = experiment(criterion(kind)), experiment(criterion("magnitude"), id="f")
    check_metrics(plan_of(*both, claims=sized))
