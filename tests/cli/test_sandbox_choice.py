"""Which sandbox a session gets when it is resumed: never a weaker one by itself."""

import json
from pathlib import Path

import pytest

from ml_intern.run import selfcheck
from ml_intern.session.log import EventLog
from ml_intern.session.store import SessionStore
from tests.e2e.conftest import ml_intern
from tests.support.compute import examined, require, strongest
from tests.support.inside import inside

SETTINGS = {
    "paper": "missing.tex", "plan_text": "", "model": "recipes", "scale": "smoke", "out": "", "max_iterations": 9,
    "budget_usd": None, "time_limit": None, "jobs": 1,
}  # fmt: skip


def begun(home: Path, kind: str) -> Path:
    """The log of a session whose scripts ran in this kind of sandbox."""
    folder = SessionStore(home / "sessions").create()
    with EventLog(folder.log) as log:
        log.append("session.created", settings=SETTINGS)
        log.append("sandbox.chosen", kind=kind, tier="A (as it was there)")
    return folder.log


def chosen(log: Path) -> list[str]:
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return [event["data"]["kind"] for event in events if event["type"] == "sandbox.chosen"]


def test_a_session_is_not_resumed_in_a_weaker_sandbox_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # neither podman nor docker, in which it began
    log = begun(tmp_path, "docker")
    done = ml_intern("resume", "--yes", home=tmp_path)
    assert done.returncode == 1
    assert "The sandbox docker does not work here." in done.stderr
    assert chosen(log) == ["docker"]


def test_a_person_may_say_which_other_sandbox_it_is(tmp_path: Path) -> None:
    log = begun(tmp_path, "docker")
    done = ml_intern("resume", "--yes", "--sandbox", "none", home=tmp_path)
    assert "missing.tex" in done.stderr  # it came as far as the paper
    assert chosen(log) == ["docker", "none"]


def test_a_session_of_before_there_were_sandboxes_gets_the_strongest(tmp_path: Path) -> None:
    if strongest() == "none":
        pytest.skip("no sandbox works here")
    folder = SessionStore(tmp_path / "sessions").create()
    with EventLog(folder.log) as log:
        log.append("session.created", settings=SETTINGS)
    ml_intern("resume", "--yes", home=tmp_path)
    assert chosen(folder.log)[0] in ("bubblewrap", "landlock")


def test_a_run_begins_with_why_it_has_no_stronger_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require("bubblewrap")
    # As if there were one that is stronger than bubblewrap, and does not work here.
    held = {
        "docker": selfcheck.Examined(kind="docker", problem="the daemon sleeps"),
        "bubblewrap": examined("bubblewrap"),
    }
    monkeypatch.setattr(selfcheck, "ISOLATING", tuple(held))
    monkeypatch.setattr(selfcheck, "_examine", lambda kind, home: held[kind])
    folder = SessionStore(tmp_path / "sessions").create()
    with EventLog(folder.log) as log:
        log.append("session.created", settings=SETTINGS)
    inside(tmp_path, "resume", "--yes")
    notes = [event.data["text"] for event in folder.events() if event.type == "note"]
    assert [note for note in notes if "docker: the daemon sleeps" in note and "Until then it is tier A" in note]
