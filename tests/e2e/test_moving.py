"""A session that was killed on one machine goes on on another, with the stand-in Hub between them."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_intern.session.log import EventLog
from tests.e2e.conftest import ROOT, ml_intern
from tests.support.hub import ServedHub, serve_hub
from tests.support.zoo import Life, finish, live, outcome

REPO = "ada/ml-intern-sessions"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ServedHub]:
    with serve_hub() as served:
        served.user("hf_plantedsecret", "ada")  # what tests/e2e/conftest.py gives to the program
        monkeypatch.setenv("HF_ENDPOINT", served.site)
        monkeypatch.setenv("HF_TOKEN", "hf_plantedsecret")
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        monkeypatch.setenv("OPENAI_API_KEY", "none")  # looked for before a session of openai/zoo goes on
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield served


def card(home: Path) -> str:
    """The published card without times and machines."""
    (published,) = (home / "hub").iterdir()
    text = (published / "README.md").read_text()
    return re.sub(r"\d+(\.\d+)? (s|min|MiB|seconds)\b|\d{8}-\d{6}-[0-9a-f]{4}", "N", text)


def killed_in_the_middle(home: Path, boundaries: int) -> Life:
    life = live(home, kill_at=boundaries * 2 // 3)
    assert life.killed
    return life


def test_started_killed_uploaded_resumed_elsewhere_it_ends_as_if_nothing_had_happened(
    hub: ServedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = live(tmp_path / "undisturbed")
    here, there = tmp_path / "here", tmp_path / "there"
    killed_in_the_middle(here, undisturbed.boundaries)
    uploaded = ml_intern("sessions", "upload", home=here)
    assert uploaded.returncode == 0, uploaded.stderr
    (locator,) = re.findall(r"hf://\S+", uploaded.stdout)
    moved = live(there, locator=locator, more=("--sandbox", "none"))  # said anew: it does not come along
    assert moved.code == 0, moved.said
    assert outcome(there) == outcome(tmp_path / "undisturbed")
    assert card(there) == card(tmp_path / "undisturbed")
    (published,) = (there / "hub").iterdir()
    assert ml_intern("verify", str(published), home=there).returncode == 0
    assert b"hf_plantedsecret" not in b"".join(hub.repository("dataset", REPO).files(
        hub.repository("dataset", REPO).head).values())  # fmt: skip
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody")  # a missing key would be said before anything else
    late = ml_intern("resume", "--yes", "--sync", home=here)
    assert late.returncode == 1 and "has gone on elsewhere" in late.stderr, "the first machine is told"


def test_killed_in_the_middle_of_an_upload_what_is_on_the_hub_is_whole(hub: ServedHub, tmp_path: Path) -> None:
    undisturbed = live(tmp_path / "undisturbed")
    here, there = tmp_path / "here", tmp_path / "there"
    killed_in_the_middle(here, undisturbed.boundaries)
    assert ml_intern("sessions", "upload", home=here).returncode == 0
    with EventLog(next(here.glob("sessions/*/events.jsonl"))) as log:
        log.append("note", text="more to upload")
    hub.faults.before("POST /api/datasets/ada/ml-intern-sessions/commit/", lambda: killing[0].kill())
    killing = [subprocess.Popen([sys.executable, "-m", "ml_intern.cli.main", "sessions", "upload"], cwd=ROOT,
                                env={**os.environ, "ML_INTERN_HOME": str(here)})]  # fmt: skip
    assert killing[0].wait(60) == -9
    uploaded = ml_intern("sessions", "upload", home=here)
    assert uploaded.returncode == 0, uploaded.stderr
    (locator,) = re.findall(r"hf://\S+", uploaded.stdout)
    moved = live(there, locator=locator, more=("--sandbox", "none"))
    assert moved.code == 0, moved.said
    assert outcome(there) == outcome(tmp_path / "undisturbed")


def test_what_would_be_uploaded_is_listed_without_the_network(hub: ServedHub, tmp_path: Path) -> None:
    killed_in_the_middle(tmp_path / "here", live(tmp_path / "undisturbed").boundaries)
    listed = ml_intern("sessions", "upload", "--dry-run", home=tmp_path / "here")
    assert listed.returncode == 0 and "nothing was uploaded" in listed.stdout
    assert "files/plan.yaml" in listed.stdout and hub.requests == []


def test_a_synced_run_is_uploaded_beside_its_work_and_nothing_is_without_being_asked(
    hub: ServedHub, tmp_path: Path
) -> None:
    assert live(tmp_path / "quiet").code == 0
    assert hub.requests == []
    os.environ["ML_INTERN_SYNC_INTERVAL"] = "1"
    try:
        done = live(tmp_path / "synced", more=("--sync",))
    finally:
        del os.environ["ML_INTERN_SYNC_INTERVAL"]
    assert done.code == 0, done.said
    repository = hub.repository("dataset", REPO)
    assert repository.about["private"] and len(repository.commits) >= 3
    (name,) = [name for name in repository.files(repository.head) if name.endswith("session.json")]
    assert b'"status": "finished"' in repository.files(repository.head)[name]
    assert finish(tmp_path / "synced").code == 0


def test_a_synced_session_goes_on_without_the_network(hub: ServedHub, tmp_path: Path) -> None:
    killed = live(tmp_path / "synced", kill_at=300, more=("--sync",))
    assert killed.killed
    hub.stop()
    resumed = live(tmp_path / "synced")
    assert resumed.code == 0, resumed.said
    assert "It is tried again" in resumed.said
