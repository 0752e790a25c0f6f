"""Planner and executor as two models: an experiment is given up, reviewed, amended and tried again; another follows."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import ml_intern
from tests.e2e.test_language_model import EXPERIMENT, PAPER
from tests.judge.workshop import HONEST
from tests.support.crashing import CLAIM
from tests.support.openai_server import Answer, call, serving

SECOND = CLAIM | {"quote": "The okapi is faster to train.", "statement": "An okapi trains faster."}
REVIEW = {
    "decision": "amend",
    "reason": "The batch does not fit.",
    "amendments": [
        {
            "experiment": "zoo",
            "changes": {"settings": {"batch": 8}, "memory_mb": 5000},
            "reason": "smaller",
            "again": True,
        }
    ],
}


def experiments() -> list[dict[str, Any]]:
    one = EXPERIMENT | {"settings": {"batch": 64}, "seeds": {"explore": 0, "confirm": 3, "extra": 0}}
    other = one | {"id": "herd", "title": "a herd", "tests": [one["tests"][0] | {"claim": "C2"}]}
    return [one, other]


class Model:
    """Two models behind one server: who is asked what is kept."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.reviews = [REVIEW, {"decision": "continue", "reason": "as planned"}]
        self.prompts: list[str] = []

    def __call__(self, request: dict[str, Any]) -> Answer:
        name = request.get("response_format", {}).get("json_schema", {}).get("name", "")
        purpose = name or ("build" if request.get("tools") else "discussion")
        self.asked.append((request["model"], purpose))
        self.prompts.append(request["messages"][0]["content"])
        if purpose == "claims":
            return Answer(text=json.dumps({"claims": [CLAIM, SECOND]}))
        if purpose == "plan":
            return Answer(text=json.dumps({"experiments": experiments(), "left_out": []}))
        if purpose == "review":
            return Answer(text=json.dumps(self.reviews.pop(0)))
        return self._build(request["messages"]) if purpose == "build" else Answer(text="Nothing follows.")

    def _build(self, messages: list[dict[str, Any]]) -> Answer:
        turns = sum(message["role"] == "assistant" for message in messages)
        if '"id": "zoo"' in messages[0]["content"] and "was tried before" not in messages[0]["content"]:
            return call("give_up", reason="out of memory at batch 64")
        if turns == 0:
            return Answer(calls=[("write_file", json.dumps({"path": n, "content": t})) for n, t in HONEST.items()])
        steps = [
            call("amend_plan", settings={"steps": 7}, reason="it learns within seven"),
            call("note", text="the rows are <b>made up</b>"),
            call("smoke_run"),
            call("finish"),
        ]
        return steps[min(turns - 1, 3)]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Model, Path, Path]:
    """(the model, the session's home, the published folder)."""
    folder = tmp_path_factory.mktemp("planner")
    paper, home, model = folder / "zoo.tex", folder / "home", Model()
    paper.write_text(PAPER)
    with serving(model) as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OPENAI_API_KEY", "sk-planted-secret")
        patch.setenv("OPENAI_BASE_URL", server.base)
        patch.setenv("OPENAI_API_BASE", server.base)
        names = ("--planner-model", "openai/thinker", "--executor-model", "openai/maker", "--sandbox", "none")
        done = ml_intern("run", "--paper", str(paper), *names, "--yes", home=home)
    assert done.returncode == 0, done.stderr
    return model, home, next((home / "hub").iterdir())


def test_the_planner_plans_and_reviews_and_the_executor_builds(finished: tuple[Model, Path, Path]) -> None:
    model, _, _ = finished
    assert {purpose for name, purpose in model.asked if name == "thinker"} == {"claims", "plan", "review", "discussion"}
    assert {purpose for name, purpose in model.asked if name == "maker"} == {"build"}
    assert [purpose for _, purpose in model.asked].count("review") == 2, "after each try, while something is open"


def test_both_experiments_come_to_a_verdict_that_can_be_verified(finished: tuple[Model, Path, Path]) -> None:
    _, home, published = finished
    verdicts = json.loads((published / "verdicts.json").read_text())
    # Seeds come from the plan's hash, which has the paper's place in it: with three of them the interval may be wide.
    assert len(verdicts) == 2
    assert all(verdict["outcome"] in ("reproduced", "inconclusive") and verdict["effect"] > 0.2 for verdict in verdicts)
    assert ml_intern("verify", str(published), home=home).returncode == 0


def test_the_second_try_is_a_new_conversation_that_knows_why_the_first_ended(
    finished: tuple[Model, Path, Path],
) -> None:
    model, _, _ = finished
    (again, *_) = [prompt for prompt in model.prompts if "was tried before" in prompt]
    assert "out of memory at batch 64" in again and '"batch": 8' in again and "An example of the form" in again


def test_scripts_run_with_the_amended_settings_and_seeds_stay_those_of_the_approved_plan(
    finished: tuple[Model, Path, Path],
) -> None:
    _, _, published = finished
    settings = json.loads((published / "experiments" / "zoo" / "settings.json").read_text())
    assert settings["train"] == {"batch": 8, "steps": 7}
    assert "batch: 64" in (published / "plan.yaml").read_text()


def test_report_page_and_card_tell_what_was_amended_by_whom_and_why(finished: tuple[Model, Path, Path]) -> None:
    _, _, published = finished
    for name in ("report.md", "report.html", "README.md"):
        text = (published / name).read_text()
        assert "batch 8, memory 5000 MB (the planner: smaller)" in text, name
        assert "steps 7 (the executor: it learns within seven)" in text, name
    assert "<b>made up</b>" not in (published / "report.html").read_text()
