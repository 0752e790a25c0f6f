"""Whole runs in which a call needs an approval, or the model has a question: rules, a terminal, nobody there."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ml_intern.session.log import read_log
from tests.e2e.conftest import ROOT, ml_intern
from tests.e2e.test_steering import RUN, model, session
from tests.e2e.test_task import BUILD, scripted
from tests.support.openai_server import Answer, call
from tests.support.screen import Terminal

# A family of tools as a later one will be: it brings something from outside.
FAMILY = """
from pydantic import BaseModel
from ml_intern.tools.registry import Tool

class What(BaseModel):
    what: str

def tools(bench):
    fetch = lambda given: f"{given.what} is here"
    return [Tool("fetch_thing", "Fetches.", "external", What, fetch, about=lambda given: "2 MB, MIT")]
"""
PROGRAM = """
import sys
import ml_intern.tools
ml_intern.tools.__path__.append(sys.argv.pop(1))
from ml_intern.cli.main import main
main()
"""
FETCH = call("fetch_thing", what="bert\x1b[2J\u202eevil\n")
ASK = call("ask_person", question="Should it see the *stripes*?", meanwhile="it sees them")


def command(tmp_path: Path, *arguments: str) -> list[str]:
    folder = tmp_path / "family"
    folder.mkdir(exist_ok=True)
    (folder / "fetching_for_a_test.py").write_text(FAMILY)
    return [sys.executable, "-c", PROGRAM, str(folder), *arguments]


def go(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(tmp_path, *arguments), env=environment(tmp_path), cwd=ROOT, capture_output=True, text=True, timeout=200,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def environment(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "ML_INTERN_HOME": str(tmp_path / "home")}


def rule(tmp_path: Path, do: str) -> None:
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home" / "config.toml").write_text(f'[[approvals.rules]]\ntool = "fetch_*"\ndo = "{do}"\n')


def decisions(tmp_path: Path) -> list[tuple[str, str]]:
    events = read_log(session(tmp_path / "home") / "events.jsonl")
    return [(event.data["decision"], event.data["by"]) for event in events if event.type == "approval"]


def answers(requests: list[dict[str, Any]]) -> list[str]:
    last = [request["messages"] for request in requests if request.get("tools")][-1]
    return [str(message["content"]) for message in last if message["role"] == "tool"]


def test_without_a_rule_and_with_nobody_there_the_run_exits_with_5_and_goes_on_once_a_rule_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with model(scripted([FETCH, *BUILD]), monkeypatch) as server:
        refused = go(tmp_path, *RUN, "--yes")
        assert refused.returncode == 5, refused.stderr
        assert "fetch_thing (class external) needs an approval, and nobody is there" in refused.stderr
        assert "config.toml" in refused.stderr and "ml-intern resume" in refused.stderr
        asked = len(server.requests)
        again = go(tmp_path, "resume", "--yes")
        assert again.returncode == 5 and len(server.requests) == asked, "the model is not asked again for it"
        rule(tmp_path, "allow")
        done = go(tmp_path, "resume")
        assert done.returncode == 0, done.stderr
        assert "is here" in answers(server.requests)[0]
    assert decisions(tmp_path) == [("stop", "nobody is there")] * 2 + [("allow", "rule 1")]


@pytest.mark.parametrize("arguments", [(), ("--approve", "never")])
def test_what_a_rule_or_never_refuses_the_model_is_told_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    if not arguments:
        rule(tmp_path, "refuse")
    with model(scripted([FETCH, call("give_up", reason="nothing to be had")]), monkeypatch) as server:
        done = go(tmp_path, *RUN, "--yes", *arguments)
        assert done.returncode == 0, done.stderr
        assert answers(server.requests)[0].startswith("FAILED: refused: `fetch_thing`")
    assert [decision for decision, _ in decisions(tmp_path)] == ["refuse"]


def test_a_choice_that_is_none_and_a_rule_that_is_none_are_said_before_anything_is_done(tmp_path: Path) -> None:
    odd = ml_intern("run", "--paper", "x.tex", "--approve", "sometimes", home=tmp_path / "home")
    assert odd.returncode == 2 and "never, external, all" in odd.stderr
    rule(tmp_path, "perhaps")
    wrong = ml_intern(*RUN, "--yes", home=tmp_path / "home")
    assert wrong.returncode == 2 and "config.toml, line 3" in wrong.stderr
    assert not (tmp_path / "home" / "sessions").exists()


def terminal(tmp_path: Path) -> Terminal:
    """Wide enough that no word of a question is broken."""
    return Terminal(command(tmp_path, *RUN, "--yes"), columns=200, environment=environment(tmp_path))


def test_at_a_terminal_it_is_asked_and_what_a_model_wrote_steers_nothing_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with model(scripted([FETCH, FETCH, *BUILD]), monkeypatch) as server, terminal(tmp_path) as run:
        assert run.shows("n: no; s: stop.", 150), run.screen
        assert "The model wants to call fetch_thing (external: it brings something from outside):" in run.screen
        assert "bert\\u001b[2J[U+202E]evil\\n" in run.screen and "\u202e" not in run.raw.decode()
        assert b"bert\x1b[2J" not in run.raw and 'What it brings: "2 MB, MIT"' in run.screen
        run.types("a\n")
        assert run.ended() == 0, run.screen
        assert [text.endswith(" is here") for text in answers(server.requests)][:2] == [True, True]
    assert decisions(tmp_path) == [("allow", "a person"), ("allow", "an earlier answer")]
    events = read_log(session(tmp_path / "home") / "events.jsonl")
    assert not [event for event in events if "inbox" in event.data], "an answer is no word to the model"


def test_a_question_at_a_terminal_is_answered_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with model(scripted([ASK, *BUILD]), monkeypatch) as server, terminal(tmp_path) as run:
        assert run.shows("without one in 120 s the run goes on with: it sees them", 150), run.screen
        run.types("Q1: only half of them.\n")
        assert run.ended() == 0, run.screen
        assert "the person has answered" in answers(server.requests)[0]
        assert "<person>\\nQ1: only half of them.\\n</person>" in json.dumps(server.requests[-2]["messages"])
    assert "were deferred" not in (session(tmp_path / "home") / "report.md").read_text()


def test_a_question_that_nobody_answers_is_listed_once_at_the_end_also_after_kill_9(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual, met = scripted([ASK, ASK, *BUILD]), []  # type: ignore[var-annotated]
    home = tmp_path / "home"

    def script(request: dict[str, Any]) -> Answer:
        if any(message["role"] == "tool" for message in request["messages"]) and not met:
            met.append(True)
            os.kill(json.loads((session(home) / "holder.json").read_text())["pid"], signal.SIGKILL)
        return usual(request)

    with model(script, monkeypatch):
        assert ml_intern(*RUN, "--yes", home=home).returncode == -9
        done = ml_intern("resume", home=home)
    assert done.returncode == 0, done.stderr
    assert "Questions that were deferred:\n  Q1: Should it see the *stripes*? Decided: it sees them" in done.stderr
    (published,) = (home / "hub").iterdir()
    for name in ("README.md", "report.md", "report.html"):
        text = (published / name).read_text().replace("\\", "")
        assert text.count("Questions that were deferred") == text.count("see the *stripes*? Decided: It sees") == 1, (
            name
        )
    assert ml_intern("verify", str(published), home=home).returncode == 0
    assert "Q1 deferred" in ml_intern("sessions", "show", home=home).stdout
