"""The plan of a session that came from elsewhere is shown as it would run, and only that is approved."""

import re
from pathlib import Path

import pytest
from rich.console import Console

from ml_intern.agent.desk import amendments
from ml_intern.agent.pipeline import approve_phase
from ml_intern.errors import ApprovalRefused, InputError
from ml_intern.plan.amendment import Amendment, Changes
from ml_intern.plan.plan import Plan, StartingModel
from ml_intern.run.resources.resource import Resource
from ml_intern.ui.show import show_plan
from tests.agent.test_review import Planner, at_work, two

LOOT = Resource(name="loot", kind="dataset", id="ada/private", revision="a" * 40, bytes=5)
WHEEL = f"evil==1.0 --hash=sha256:{'0' * 64}"


def test_what_was_amended_elsewhere_is_approved_here_before_it_is_fetched(tmp_path: Path) -> None:
    plan = two()
    changes = Changes(resources=(LOOT,), requirements=(WHEEL,))
    made = Amendment(experiment="f", changes=changes, reason="it helps", by="executor")
    shown: list[Plan] = []
    with at_work(tmp_path, Planner({})) as context:
        context.approve = lambda asked: shown.append(asked) or len(shown) > 1  # type: ignore[func-returns-value]
        context.emit("plan.approved", digest=plan.digest())
        context.emit("amendment", **made.model_dump(mode="json"))
        approve_phase(context, plan)
        assert not shown, "at home it was approved when it was made"
        context.emit("session.fetched", repo="eve/sessions", left_out=[], changed=[])
        with pytest.raises(ApprovalRefused):
            approve_phase(context, plan)
        approve_phase(context, plan)
        assert not context.state.unapproved and context.state.plan == plan.digest()
        approve_phase(context, plan)
    assert len(shown) == 2
    assert (shown[1].experiments[1].resources, shown[1].experiments[1].requirements) == ((LOOT,), (WHEEL,))
    assert shown[1].experiments[0] == plan.experiments[0]


def test_what_a_plan_reads_of_this_machine_and_what_beside_it_no_script_sees_stands_in_what_is_approved(
    tmp_path: Path,
) -> None:
    for name in ("model.safetensors", *(f"{number}.txt" for number in range(9))):
        (tmp_path / name).touch()
    (first, second) = two().experiments
    own = (
        StartingModel(id="a/b", revision="c", path="/home/me/model.safetensors"),
        StartingModel(id="a/b", revision="c", path=str(tmp_path)),
    )
    console = Console(record=True, width=300)
    show_plan(
        two().model_copy(update={"experiments": (first.model_copy(update={"base_models": own}), second)}), console
    )
    shown = console.export_text()
    assert "reads /home/me/model.safetensors of this machine\n" in re.sub(" +\n", "\n", shown)
    named = ", ".join(f"{number}.txt" for number in range(8))
    assert f"reads {tmp_path} of this machine; no script sees {named} and 1 more there" in shown


def test_an_amendment_that_somebody_made_up_is_refused_in_words(tmp_path: Path) -> None:
    with at_work(tmp_path, Planner({})) as context:
        context.emit("amendment", experiment="f", changes="all of it")
        with pytest.raises(InputError, match="amendment in the session's log"):
            amendments(context)
