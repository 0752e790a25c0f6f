"""What is given on the command line reaches the model's request: how long it thinks, who plans, how far it may go."""

import json
from pathlib import Path
from typing import Any

import pytest

from ml_intern.session.state import fold
from tests.e2e.played import RUN, events, run
from tests.e2e.test_task import TASK, scripted
from tests.support.openai_server import Answer, call

pytestmark = pytest.mark.usefixtures("short_pauses")
PLAN = ("plan", TASK, "--sandbox", "none", "--no-instructions")


class Noting:
    def __init__(self, usual: Any = None) -> None:
        self.usual, self.requests = usual or scripted(), []
        self.requests: list[dict[str, Any]] = []

    def __call__(self, request: dict[str, Any]) -> Answer:
        self.requests.append(request)
        return self.usual(request)


def test_a_plan_is_made_by_the_planner_with_its_effort(tmp_path: Path) -> None:
    script = Noting()
    said = run(tmp_path, script, "--planner-model", "openai/thinker", "--effort", "low", command=PLAN)
    assert said.code == 0, said.err
    assert {(one["model"], one.get("reasoning_effort")) for one in script.requests} == {("thinker", "low")}


def test_a_plan_is_held_to_its_budget_and_counts_tries_that_failed(tmp_path: Path) -> None:
    usual, left = scripted(), [Answer(status=500, text="broken")]
    said = run(
        tmp_path,
        lambda request: left.pop() if left else usual(request),
        *("--model", "openai/scripted", "--max-iterations", "1"),
        command=PLAN,
    )
    assert said.code == 3 and "The budget of 1 iterations is used up." in said.err
    assert [event.type for event in events(tmp_path)].count("model.retried") == 1
    assert fold(events(tmp_path)).iterations == 1


def test_a_runs_effort_reaches_each_request(tmp_path: Path) -> None:
    script = Noting()
    said = run(tmp_path, script, "--effort", "high", "--max-iterations", "3", command=RUN)
    assert said.code == 3, said.err
    assert len(script.requests) > 1 and {one.get("reasoning_effort") for one in script.requests} == {"high"}


def test_the_stronger_model_takes_over_where_the_run_goes_in_circles(tmp_path: Path) -> None:
    circling, able = scripted([call("read_file", path="nothing.py")]), scripted()
    began: list[int] = []

    def by_model(request: dict[str, Any]) -> Answer:
        if request["model"] != "stronger":
            return circling(request)
        began.append(sum(message["role"] == "assistant" for message in request["messages"]))
        turns = [one for one in request["messages"] if one["role"] == "assistant"][began[0] :]
        return able({**request, "messages": turns}) if request.get("tools") else able(request)

    script = Noting(by_model)
    said = run(tmp_path, script, "--stronger-model", "openai/stronger", command=RUN)
    assert said.code == 0, said.err
    models = [one["model"] for one in script.requests if one.get("tools")]
    assert models[0] == "scripted" and models[-1] == "stronger" and models == sorted(models)
    assert json.loads((next((tmp_path / "hub").iterdir()) / "verdicts.json").read_text())[0]["outcome"] == "reproduced"
