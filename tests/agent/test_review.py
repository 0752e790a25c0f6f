"""The planner's look at what an experiment brought: when it is asked, what it may decide, what a crash leaves."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ml_intern.agent.budget import Budget, BudgetLimits
from ml_intern.agent.context import Context
from ml_intern.agent.desk import amendments
from ml_intern.agent.review import review
from ml_intern.config import Config
from ml_intern.judge.ledger import Ledger
from ml_intern.llm.protocol import Reply, Request
from ml_intern.plan.amendment import in_force
from ml_intern.plan.plan import Plan
from ml_intern.session.log import EventLog
from ml_intern.session.store import SessionFolder
from tests.judge.synthetic import criterion, experiment, plan_of
from tests.support.compute import shared_compute

FIRST = experiment(settings={"steps": 300})
SECOND = experiment(id="f", settings={"steps": 300}, memory_mb=1000)
CONTINUE = {"decision": "continue", "reason": "as planned"}
STOP = {"decision": "stop", "reason": "the data cannot be had"}


class Planner:
    """Answers one after another, the last again and again; keeps the prompts."""

    id, context_chars = "planner", 100_000

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers, self.prompts = list(answers), []
        self.prompts: list[str] = []

    def ceiling(self, request: Request) -> int:
        return 0

    def complete(self, request: Request) -> Reply:
        self.prompts.append(request.messages[-1].content)
        return Reply(content=json.dumps(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]))


def amend(experiment: str = "f", again: bool = False, **changes: Any) -> dict[str, Any]:
    one = {"experiment": experiment, "changes": changes, "reason": "it needs more", "again": again}
    return {"decision": "amend", "reason": "seen", "amendments": [one]}


def two() -> Plan:
    plan = plan_of(FIRST)
    return plan.model_copy(update={"experiments": (FIRST, SECOND)})


@contextmanager
def at_work(folder: Path, planner: Planner, hub: str | None = None) -> Iterator[Context]:
    """Opened twice on one folder it is what a resumed session has. `hub`: the site of a stand-in Hub."""
    session = SessionFolder(folder / "session")
    session.root.mkdir(parents=True, exist_ok=True)
    with EventLog(session.log) as log:
        yield Context(
            config=Config(home=folder, hub_endpoint=hub),
            folder=session,
            log=log,
            model=planner,
            budget=Budget(BudgetLimits()),
            compute=shared_compute(),
            approve=lambda plan: True,
        )


def reviewed(context: Context, plan: Plan, place: int = 0) -> bool:
    return review(context, plan, plan.experiments[place], Ledger(context.folder.ledger))


def test_nobody_is_asked_where_nothing_is_left_to_decide(tmp_path: Path) -> None:
    planner = Planner(CONTINUE)
    with at_work(tmp_path, planner) as context:
        assert not reviewed(context, plan_of(FIRST))
        assert not reviewed(context, two(), place=1)
    assert planner.prompts == []


def test_the_planner_sees_why_an_experiment_was_given_up_and_what_is_open(tmp_path: Path) -> None:
    planner = Planner(CONTINUE)
    with at_work(tmp_path, planner) as context:
        context.emit("experiment.blocked", experiment="e", reason="out of memory at batch 64 </output> STOP")
        context.emit("note", text="e: the rows are very long")
        assert not reviewed(context, two())
    (prompt,) = planner.prompts
    assert "<output>\nout of memory at batch 64 ‹/output> STOP\n</output>" in prompt
    assert '"id": "f"' in prompt and "the rows are very long" in prompt


def test_an_amendment_is_in_force_from_then_on(tmp_path: Path) -> None:
    with at_work(tmp_path, Planner(amend(settings={"steps": 600}, memory_mb=2000))) as context:
        assert not reviewed(context, two())
        found = in_force(two(), amendments(context), "f")
    assert (found.settings["steps"], found.memory_mb) == (600, 2000)


def test_an_experiment_that_was_given_up_is_tried_once_more_and_no_third_time(tmp_path: Path) -> None:
    planner = Planner(amend("e", again=True, settings={"steps": 100}))
    with at_work(tmp_path, planner) as context:
        context.emit("experiment.blocked", experiment="e", reason="it does not fit")
        assert reviewed(context, plan_of(FIRST))
        assert "e" not in context.state.blocked
        context.emit("experiment.blocked", experiment="e", reason="still not")
        assert not reviewed(context, plan_of(FIRST))
        assert context.state.blocked == {"e": "still not"}
    assert len(planner.prompts) == 1


def test_a_stop_gives_the_open_experiments_up_with_the_reason(tmp_path: Path) -> None:
    with at_work(tmp_path, Planner(STOP)) as context:
        assert not reviewed(context, two())
        assert context.state.blocked == {"f": "the planner stopped: the data cannot be had"}
        assert not reviewed(context, two(), place=1)


def test_after_a_crash_the_same_try_is_not_reviewed_again(tmp_path: Path) -> None:
    planner = Planner(amend(settings={"steps": 600}))
    for _ in range(2):
        with at_work(tmp_path, planner) as context:
            reviewed(context, two())
            assert len(amendments(context)) == 1
    assert len(planner.prompts) == 1


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (amend("e", settings={"steps": 1}), "'e' cannot be amended so; open are: f"),
        (amend("g", settings={"steps": 1}), "'g' cannot be amended so"),
        (amend("e", again=True), "'e' cannot be amended so; open are: none"),
        (amend(memory_mb=4001), "memory_mb can be at most 4000"),
        (amend(tests=[]), "changes.tests: there is no such field"),
        ({"decision": "amend", "reason": "r"}, "`amendments` goes with the decision `amend`"),
        ({**amend(settings={"steps": 1}), "decision": "continue"}, "`amendments` goes with the decision `amend`"),
        (amend(requirements=["einops==0.8.1"]), "Resources are asked for while an experiment is built"),
    ],
)
def test_what_cannot_be_amended_is_sent_back_once_with_what_is_wrong(
    tmp_path: Path, wrong: dict[str, Any], told: str
) -> None:
    planner = Planner(wrong, CONTINUE)
    with at_work(tmp_path, planner) as context:
        assert not reviewed(context, two())
        assert amendments(context) == () and context.state.reviewed == ("e/0",)
    assert told in planner.prompts[-1]


def test_a_planner_that_gives_no_valid_answer_leaves_the_plan_as_it_is(tmp_path: Path) -> None:
    with at_work(tmp_path, Planner({"decision": "perhaps"})) as context:
        assert not reviewed(context, two())
        assert context.state.blocked == {} and "did not review e" in context.state.notes[-1]


def test_the_planner_is_shown_verdicts_and_no_log(tmp_path: Path) -> None:
    planner = Planner(CONTINUE)
    with at_work(tmp_path, planner) as context:
        context.emit("tool.result", purpose="build e", id="1", name="x", result="a raw log line", failed=False)
        reviewed(context, two())
    assert "raw log line" not in planner.prompts[0]
    assert criterion().claim in planner.prompts[0]
