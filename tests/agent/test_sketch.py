"""A plan from a sketch: the model names the parts, and what follows from the claims is put in by code."""

from typing import Any

import pytest

from ml_intern.agent.sketch import Sketch, experiment_of, sketch_schema
from ml_intern.agent.task import check_task
from ml_intern.errors import PlanError
from ml_intern.plan.claim import Claim
from ml_intern.plan.plan import Experiment
from tests.judge.synthetic import claim, task_of

SKETCH: dict[str, Any] = {
    "data": "zebras, made by data.py", "inputs": ["stripes"], "label": "zebra", "task": "classification",
    "metric": "accuracy", "method": {"name": "net", "settings": {"units": 8}}, "settings": {"steps": 50},
}  # fmt: skip
BASELINE = {"baseline": {"name": "chance"}}


def of_kind(kind: str, quote: str = "at least 90 % accuracy", metric: str = "accuracy") -> Claim:
    return claim("C1", kind).model_copy(update={"quote": quote, "metric": metric})


def planned(one: Claim, **changes: Any) -> Experiment:
    return experiment_of(Sketch.model_validate(SKETCH | changes), (one,), "e1", "small")[0]


@pytest.mark.parametrize(
    ("metric", "quote", "target"),
    [
        ("accuracy", "at least 90 % accuracy", 0.9),
        ("accuracy", "an error of at most 5 %", 0.95),
        ("log_loss", "a log loss below 0.3", 0.3),
        ("parameters", "fewer than 10k weights", 10_000),
    ],
)
def test_the_number_to_reach_is_the_persons(metric: str, quote: str, target: float) -> None:
    experiment = planned(of_kind("threshold", quote, metric), metric=metric)
    (test,) = experiment.tests
    assert test.target == pytest.approx(target) and test.contrast == {"net": 1.0} and test.metric.rows == "test"
    check_task(task_of(experiment, claims=[of_kind("threshold", quote, metric)]))


def test_of_two_numbers_it_takes_the_one_that_the_claim_names_and_else_none() -> None:
    both = of_kind("threshold", "stay below 0.3 or 0.5", "log_loss")
    with pytest.raises(PlanError, match=r"not clear from its quote; possible: 0\.3, 0\.5"):
        planned(both, metric="log_loss")
    named = Claim.model_validate(both.model_dump() | {"numbers": [{"text": "0.3", "anchor": "sec:1"}]})
    assert planned(named, metric="log_loss").tests[0].target == 0.3


def test_a_comparison_has_two_variants_and_needs_a_baseline() -> None:
    experiment = planned(of_kind("direction"), **BASELINE)
    assert [variant.name for variant in experiment.variants] == ["net", "chance"]
    assert experiment.tests[0].contrast == {"net": 1.0, "chance": -1.0}
    with pytest.raises(PlanError, match="needs a `baseline`"):
        planned(of_kind("direction"))
    with pytest.raises(PlanError, match="net and chance differ in no setting"):
        planned(of_kind("direction"), method={"name": "net"}, **BASELINE)


def test_a_magnitude_needs_the_size_that_it_states() -> None:
    claim = of_kind("magnitude", "better by more than 2 points")
    assert planned(claim, minimal_effect=0.02, **BASELINE).tests[0].minimal_effect == 0.02
    with pytest.raises(PlanError, match="put the size that it states into minimal_effect"):
        planned(claim, **BASELINE)


def test_where_nothing_is_compared_a_baseline_is_left_out() -> None:
    experiment = planned(of_kind("measurement"), **BASELINE)
    assert [variant.name for variant in experiment.variants] == ["net"]
    assert experiment.tests[0].target is None


def test_the_published_run_is_chosen_by_a_score_and_never_by_its_size() -> None:
    experiment = planned(of_kind("threshold", "fewer than 10k weights", "parameters"), metric="parameters")
    assert experiment.select.key == "accuracy@validation" and experiment.select_higher_is_better


def test_a_metric_of_another_task_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(PlanError, match=r"(?s)mse does not belong to the task classification.*Use accuracy"):
        planned(of_kind("threshold"), metric="mse")


def test_a_claim_of_a_kind_that_is_too_much_for_small_steps_is_left_out_with_the_reason() -> None:
    claims = (of_kind("measurement"), claim("C2", "trend"))
    _, left = experiment_of(Sketch.model_validate(SKETCH), claims, "e1", "small")
    assert [(one.claim, one.reason) for one in left] == [
        ("C2", "the plan was made in small steps, which know no test of kind trend")
    ]


def test_a_server_that_holds_to_the_schema_leaves_only_the_metric_of_the_claim() -> None:
    properties = sketch_schema((of_kind("threshold", metric="mae"),))["properties"]
    assert (properties["metric"]["enum"], properties["task"]["enum"]) == (["mae"], ["regression"])
    assert not {"baseline", "settings", "smoke"} & set(properties), "nothing is compared"
    loose = sketch_schema((of_kind("direction", metric="how good it is"),))["properties"]
    assert "baseline" in loose
    assert "accuracy" in loose["metric"]["enum"] and "regression" in loose["task"]["enum"]


def test_a_name_that_is_nearly_one_is_made_one() -> None:
    made = planned(of_kind("threshold"), method={"name": "k-nearest neighbours (5)"}, label="is zebra?")
    assert (made.variants[0].name, made.data.label) == ("k-nearest-neighbours-5", "is-zebra")
