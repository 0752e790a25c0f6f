"""Whole runs that something ends: money, time, 300 model calls, circles, a person's no. Each says so, by its exit code
too, publishes what there is, and goes on where it is resumed with more."""

import inspect
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import ml_intern.cli.plan
import ml_intern.cli.run
from ml_intern.agent import budget
from ml_intern.session.state import fold
from tests.e2e.played import PRICED, RUN, Faulty, events, published, resumed, run
from tests.e2e.test_task import scripted
from tests.support.inside import Said, inside, keys_for
from tests.support.openai_server import Answer, call, serving
from tests.support.zoo import came_to

pytestmark = pytest.mark.usefixtures("short_pauses")


def ended(home: Path, said: Said, code: int, words: str) -> None:
    assert said.code == code, said.err
    assert words in said.err and "go on with: ml-intern resume" in said.err and "Traceback" not in said.err
    report = (published(home) / "report.md").read_text()
    assert "not tested" in report and "Stopped" in report
    assert (published(home) / "report.html").exists()


def test_a_run_whose_money_is_spent_ends_with_a_report_and_goes_on_with_more(
    tmp_path: Path,
    undisturbed: dict[str, Any],
) -> None:
    """Each call costs a cent and holds some five before it."""
    dear = [
        Answer(calls=[("read_file", f'{{"path": "settings.json", "lines": {n}}}')], usage=(1000, 0))
        for n in range(1, 99)
    ]
    said = run(tmp_path, scripted(dear), "--budget-usd", "0.15", settings=PRICED)
    ended(tmp_path, said, 3, "The budget of $0.15 is used up.")
    assert 0.02 < fold(events(tmp_path)).cost_usd <= 0.15
    done = resumed(tmp_path, "--budget-usd", "9")
    assert done.code == 0, done.err


def test_a_model_of_unknown_price_under_a_budget_stops_a_run_that_goes_on_once_it_is_allowed(tmp_path: Path) -> None:
    said = run(tmp_path, scripted(), "--budget-usd", "1")
    assert said.code == 3 and "The price of this model is not known" in said.err
    assert "--allow-unknown-price" in said.err and "go on with: ml-intern resume" in said.err
    assert resumed(tmp_path).code == 3
    done = resumed(tmp_path, "--allow-unknown-price")
    assert done.code == 0, done.err


@pytest.fixture
def hours(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """What is appended passes on the budget's clock."""
    passed: list[float] = []
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + 3600 * sum(passed))
    monkeypatch.setattr(budget, "time", clock)
    yield passed


def test_a_run_whose_time_is_over_ends_with_a_report_and_goes_on_with_more(
    tmp_path: Path,
    undisturbed: dict[str, Any],
    hours: list[float],
) -> None:
    usual = scripted()

    def slow(request: dict[str, Any]) -> Answer:
        if request.get("tools"):
            hours.append(1.0)
        return usual(request)

    said = run(tmp_path, slow, "--time-limit", "1800")
    ended(tmp_path, said, 3, "The budget of 1800 seconds is used up.")
    asked = [event.data["purpose"] for event in events(tmp_path) if event.type == "model.asked"]
    assert "discussion" not in asked, "no minutes of a slow model after that"
    hours.clear()
    done = resumed(tmp_path, "--time-limit", "36000")
    assert done.code == 0, done.err
    assert came_to(tmp_path) == undisturbed


@pytest.mark.parametrize("asked", [40, 2000], ids=["sat out by a call", "slept through by the run"])
def test_no_pause_that_a_provider_asks_for_goes_beyond_the_time_of_the_run(
    tmp_path: Path,
    undisturbed: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    asked: int,
) -> None:
    from ml_intern.llm import gateway

    monkeypatch.setattr(gateway, "_pause", lambda _, asked: asked)
    limit = Answer(status=429, text="slow down", headers={"Retry-After": str(asked)})
    began = time.monotonic()
    said = run(tmp_path, Faulty({3: [limit] * 9}), "--time-limit", "30")
    assert time.monotonic() - began < 30
    ended(tmp_path, said, 3, "rate limit")
    assert resumed(tmp_path, "--time-limit", "3000").code == 0
    assert came_to(tmp_path) == undisturbed


def test_a_run_ends_after_so_many_model_calls_however_busy_the_model_is(tmp_path: Path) -> None:
    written = iter(range(1000))

    def script(request: dict[str, Any]) -> Answer:
        return call("write_file", path="n.txt", content=str(next(written))) if request.get("tools") else usual(request)

    usual = scripted()
    said = run(tmp_path, script, "--max-iterations", "60", settings='[models."openai/scripted"]\nstream = false\n')
    ended(tmp_path, said, 3, "The budget of 60 iterations is used up.")
    asked = [event.data["purpose"] for event in events(tmp_path) if event.type == "model.asked"]
    assert asked.count("build zoo") == 57, "all but claims, plan and the discussion, for which one is kept"
    assert asked[-1] == "discussion" and len(asked) == 60


def test_a_run_has_300_model_calls_where_nobody_says_otherwise() -> None:
    for command in (ml_intern.cli.run.run, ml_intern.cli.plan.plan):
        assert inspect.signature(command).parameters["max_iterations"].default == 300


def test_a_run_that_went_in_circles_begins_its_experiment_anew_when_it_is_resumed(
    tmp_path: Path,
    undisturbed: dict[str, Any],
) -> None:
    said = run(tmp_path, scripted([call("smoke_run")]))
    ended(tmp_path, said, 4, "Stopped by the doom-loop cap")
    assert "doom loop: smoke_run fails in the same way" in (published(tmp_path) / "report.md").read_text().replace(
        "\\", ""
    )
    again = resumed(tmp_path, script=scripted([call("smoke_run")]))
    assert again.code == 4, "the same model goes in the same circles, and is stopped again"
    done = resumed(tmp_path)
    assert done.code == 0, done.err
    assert came_to(tmp_path) == undisturbed


def test_a_plan_that_nobody_approves_is_kept_and_can_be_approved_when_it_is_resumed(
    tmp_path: Path,
    undisturbed: dict[str, Any],
) -> None:
    with serving(scripted()) as server, keys_for(server.base):
        refused = inside(tmp_path, *(word for word in RUN if word != "--yes"))
        asked = len(server.requests)
        assert refused.code == 5 and "Nobody is there to approve the plan" in refused.err
        assert not (tmp_path / "hub").exists() and asked == 2
    assert resumed(tmp_path).code == 0
    assert came_to(tmp_path) == undisturbed


def test_a_context_that_is_too_short_for_the_work_ends_with_a_report_and_goes_on_with_a_longer_one(
    tmp_path: Path,
) -> None:
    usual = scripted()

    def script(request: dict[str, Any]) -> Answer:
        return Answer(status=400, text="prompt is too long") if request.get("tools") else usual(request)

    said = run(tmp_path, script)
    ended(tmp_path, said, 1, "context_tokens")
    done = resumed(tmp_path)
    assert done.code == 0, done.err
