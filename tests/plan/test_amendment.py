"""What may be changed of an approved plan, and what may not."""

import pytest
from pydantic import ValidationError

from ml_intern.errors import PlanError
from ml_intern.plan.amendment import Amendment, Changes, amended, in_force
from ml_intern.run.resources.resource import Resource
from tests.judge.synthetic import experiment, plan_of

VARIANTS = [{"name": "method", "settings": {"units": 64}}, {"name": "baseline", "settings": {"units": 4}}]
APPROVED = experiment(variants=VARIANTS, settings={"steps": 300, "batch": 32}, memory_mb=1000, timeout_seconds=60)
PLAN = plan_of(APPROVED)


def amendment(again: bool = False, **changes: object) -> Amendment:
    return Amendment(experiment="e", changes=Changes(**changes), reason="because", by="planner", again=again)  # type: ignore[arg-type]


def test_settings_are_laid_on_those_of_the_plan_one_amendment_after_another() -> None:
    found = in_force(PLAN, [amendment(settings={"batch": 16}), amendment(settings={"batch": 8, "new": 1})], "e")
    assert found.settings == {"steps": 300, "batch": 8, "new": 1}
    assert PLAN.experiments[0].settings == {"steps": 300, "batch": 32}


def test_what_is_judged_stays_as_it_was_approved() -> None:
    found = in_force(PLAN, [amendment(settings={"batch": 16}, smoke={"steps": 1}, memory_mb=2000)], "e")
    changed = {"settings", "smoke", "memory_mb"}
    assert found.model_dump(exclude=changed) == APPROVED.model_dump(exclude=changed)


@pytest.mark.parametrize("field", ["tests", "variants", "seeds", "metrics", "data", "claims", "select", "setting"])
def test_nothing_that_is_judged_can_be_named_in_an_amendment(field: str) -> None:
    with pytest.raises(ValidationError, match="Extra inputs"):
        Changes.model_validate({field: {}})


def test_what_variants_differ_in_cannot_be_amended() -> None:
    with pytest.raises(PlanError, match="units is what the variants of e differ in"):
        amended(APPROVED, Changes(settings={"units": 8}), APPROVED)


def test_memory_and_time_grow_to_four_times_what_was_approved_however_often() -> None:
    more = amended(APPROVED, Changes(memory_mb=4000, timeout_seconds=240), APPROVED)
    assert (more.memory_mb, more.timeout_seconds) == (4000, 240)
    for changes in (Changes(memory_mb=4001), Changes(timeout_seconds=241)):
        with pytest.raises(PlanError, match="can be at most"):
            amended(more, changes, APPROVED)


def test_resources_are_added_once() -> None:
    words = Resource(name="words", kind="dataset", id="ada/words", revision="a" * 40, bytes=5)
    once = amended(APPROVED, Changes(resources=(words,), requirements=("einops==0.8.1",)), APPROVED)
    assert amended(once, Changes(resources=(words,), requirements=("einops==0.8.1",)), APPROVED) == once
    with pytest.raises(PlanError, match="two resources have the same name"):
        amended(once, Changes(resources=(words.model_copy(update={"revision": "b" * 40}),)), APPROVED)


def test_a_model_that_is_fetched_is_one_that_training_may_start_from() -> None:
    base = Resource(name="base", kind="model", id="ada/base", revision="a" * 40, bytes=5)
    found = amended(APPROVED, Changes(resources=(base,)), APPROVED)
    assert [(one.id, one.revision) for one in found.base_models] == [("ada/base", "a" * 40)]


def test_an_amendment_of_another_experiment_changes_nothing_here() -> None:
    other = amendment(settings={"batch": 16}).model_copy(update={"experiment": "f"})
    assert in_force(PLAN, [other], "e") == APPROVED


def test_a_person_reads_what_changed_who_changed_it_and_why() -> None:
    assert amendment(again=True, settings={"batch": 16}, memory_mb=2000).shown == (
        "e: tried again; batch 16, memory 2000 MB (the planner: because)"
    )
