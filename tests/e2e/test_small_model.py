"""A model with a small context, or one that a whole plan is too much for, is asked in small steps, to the same end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.agent.test_small_steps import MODEL, TABLE
from tests.e2e.conftest import ml_intern
from tests.e2e.test_task import BUILD, QUOTE, THRESHOLD, run, sent
from tests.support.openai_server import Answer

SKETCH: dict[str, Any] = {
    "data": "zebras, made by data.py", "inputs": ["x"], "label": "y", "task": "classification", "metric": "accuracy",
    "method": {"name": "zebra", "settings": {"features": 6}}, "setting": "same",
}  # fmt: skip
SMALL = '[models."openai/scripted"]\ncontext_tokens = 8192\nmax_output_tokens = 1024\n'


def small(*files: str, claims: tuple[dict[str, Any], ...] = (THRESHOLD,)) -> Callable[[dict[str, Any]], Answer]:
    """A model that answers with one block of code after another, and with one claim after another."""
    left, said = list(files), list(claims)

    def script(request: dict[str, Any]) -> Answer:
        name = request.get("response_format", {}).get("json_schema", {}).get("name", "")
        if name == "claims":
            return Answer(text=json.dumps({"claims": [said.pop(0) if len(said) > 1 else said[0]]}))
        if name == "sketch":
            return Answer(text=json.dumps(SKETCH))
        if name:
            return Answer(text="I do not know.")
        if request.get("tools"):
            return Answer(text=f"Here it is.\n```python\n{left.pop(0) if len(left) > 1 else left[0]}```\n")
        return Answer(text="It was done.")

    return script


def verdicts(published: Path | None) -> list[dict[str, Any]]:
    assert published is not None
    found: list[dict[str, Any]] = json.loads((published / "verdicts.json").read_text())
    return found


def test_a_small_model_plans_and_builds_in_questions_that_stand_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text(SMALL)
    wrong = TABLE.replace("return {", "return missing or {")
    done, requests, published = run(tmp_path, small(wrong, TABLE, MODEL), monkeypatch)
    assert done.returncode == 0, done.stderr
    (verdict,) = verdicts(published)
    assert verdict["outcome"] == "reproduced" and verdict["metric"] == "accuracy@test"
    assert ml_intern("verify", str(published), home=tmp_path).returncode == 0
    building = [request["messages"] for request in requests if request.get("tools")]
    assert [len(messages) for messages in building] == [1, 1, 1], "no question shows an earlier answer"
    assert "name 'missing' is not defined" in building[1][0]["content"]
    assert "normal(size" not in building[1][0]["content"]
    assert all(len(json.dumps(request)) / 4 < 3_000 for request in requests), "characters over four: about tokens"


def test_a_plan_that_does_not_become_valid_is_asked_for_in_small_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(BUILD)
    steps = small("")

    def script(request: dict[str, Any]) -> Answer:
        return next(answers) if request.get("tools") else steps(request)

    done, requests, published = run(tmp_path, script, monkeypatch)
    assert done.returncode == 0, done.stderr
    assert "It is asked in small steps" in done.stderr
    assert verdicts(published)[0]["outcome"] == "reproduced"
    assert any("data.py --raw DIR" in text for text in sent(requests)), "it builds like any other model"


def test_a_number_of_the_task_that_no_claim_takes_is_asked_about_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text(SMALL)
    loose = {**THRESHOLD, "kind": "measurement", "numbers": []}
    done, requests, published = run(tmp_path, small(TABLE, MODEL, claims=(loose, THRESHOLD)), monkeypatch)
    assert done.returncode == 0, done.stderr
    assert verdicts(published)[0]["outcome"] == "reproduced"
    asked = [r for r in requests if r.get("response_format", {}).get("json_schema", {}).get("name") == "claims"]
    assert len(asked) == 2 and "took none of the task's numbers as one to reach: 80 %" in sent(asked)[1]
    quote = asked[0]["response_format"]["json_schema"]["schema"]["$defs"]["ProposedClaim"]["properties"]["quote"]
    assert f"{QUOTE}." in quote["enum"] and len(quote["enum"]) == 3


def test_a_small_model_that_writes_nothing_of_use_ends_honestly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text(SMALL)
    done, _, published = run(tmp_path, small("x = 1\n"), monkeypatch, "--max-iterations", "15")
    assert done.returncode in (3, 4) and "Traceback" not in done.stderr
    assert verdicts(published)[0]["outcome"] == "not tested"
    assert published is not None and "model-index" not in (published / "README.md").read_text()


def test_a_server_that_takes_4096_tokens_without_having_said_so_is_asked_in_small_steps_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, refused = small(TABLE, MODEL), []

    def script(request: dict[str, Any]) -> Answer:
        schema = request.get("response_format", {}).get("json_schema", {}).get("name", "")
        if len(json.dumps(request["messages"])) > 3 * 4096 or schema == "plan" or len(request.get("tools", [])) > 5:
            refused.append(request)
            return Answer(status=400, text="request (9000 tokens) exceeds the available context size (4096 tokens)")
        return usual(request)

    done, requests, published = run(tmp_path, script, monkeypatch)
    assert done.returncode == 0, done.stderr
    assert verdicts(published)[0]["outcome"] == "reproduced"
    assert len(refused) == 1, "what it takes is kept in mind"
    assert any("```python table.py" in text for text in sent(requests))
