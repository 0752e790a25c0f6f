"""A session that was killed on one machine goes on on another, with the stand-in Hub between them."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ml_intern.run import journal
from ml_intern.session.log import EventLog
from tests.e2e.conftest import ROOT, ml_intern
from tests.judge.workshop import changed
from tests.support.hub import ServedHub, serve_hub
from tests.support.light import TRAIN
from tests.support.zoo import Life, finish, live, outcome, processes_of

REPO = "ada/ml-intern-sessions"
Zoo = tuple[Path, Life, dict[str, Any]]


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


def killed_in_the_middle(home: Path) -> None:
    """Some of its runs are in the ledger then, and some are not."""
    assert live(home, kill_at="before open sessions/SESSION/evidence.jsonl, 3.").killed


def test_started_killed_uploaded_resumed_elsewhere_it_ends_as_if_nothing_had_happened(
    hub: ServedHub, zoo: Zoo, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _, wanted = zoo
    here, there = folder / "here", folder / "there"
    killed_in_the_middle(here)
    uploaded = ml_intern("sessions", "upload", home=here)
    assert uploaded.returncode == 0, uploaded.stderr
    (locator,) = re.findall(r"hf://\S+", uploaded.stdout)
    moved = live(there, locator=locator, more=("--sandbox", "none"))  # said anew: it does not come along
    assert moved.code == 0, moved.said
    assert outcome(there) == wanted
    told = re.compile(r" But \d+ of the \d+ runs .*cannot vouch for them\.")
    assert REPO.partition("/")[2] in told.findall(card(there).replace("\\", ""))[0]
    assert told.sub("", card(there)) == card(folder / "undisturbed")
    (published,) = (there / "hub").iterdir()
    assert ml_intern("verify", str(published), home=there).returncode == 0
    assert b"hf_plantedsecret" not in b"".join(hub.repository("dataset", REPO).files(
        hub.repository("dataset", REPO).head).values())  # fmt: skip
    monkeypatch.setenv("OPENAI_API_KEY", "sk-nobody")  # a missing key would be said before anything else
    late = ml_intern("resume", "--yes", "--sync", home=here)
    assert late.returncode == 1 and "has gone on elsewhere" in late.stderr, "the first machine is told"


def test_killed_in_the_middle_of_an_upload_what_is_on_the_hub_is_whole(hub: ServedHub, zoo: Zoo) -> None:
    folder, _, wanted = zoo
    here, there = folder / "uploads", folder / "downloads"
    killed_in_the_middle(here)
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
    assert outcome(there) == wanted


def test_what_would_be_uploaded_is_listed_without_the_network(hub: ServedHub, tmp_path: Path) -> None:
    killed_in_the_middle(tmp_path / "here")
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


def kill_once_finished(home: Path) -> None:
    """Whoever has the session's log open, once its last event is in it."""
    (log,) = home.glob("sessions/*/events.jsonl")
    if b"session.finished" not in log.read_bytes():
        return
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if descriptor.readlink() == log:
                os.kill(int(descriptor.parts[2]), signal.SIGKILL)


def test_a_run_that_is_killed_in_its_last_upload_is_uploaded_to_its_end_when_it_is_resumed(
    hub: ServedHub, tmp_path: Path
) -> None:
    home = tmp_path / "synced"
    hub.faults.before("POST /api/datasets/ada/ml-intern-sessions/preupload/", lambda: kill_once_finished(home), times=9)
    killed = live(home, more=("--sync",))
    assert killed.killed
    repository = hub.repository("dataset", REPO)

    def manifest() -> dict[str, Any]:
        files = repository.files(repository.head)
        (name,) = [name for name in files if name.endswith("session.json")]
        return dict(json.loads(files[name]))

    assert manifest()["status"] != "finished" and manifest()["lease"]
    resumed = ml_intern("resume", "--yes", home=home)
    assert resumed.returncode == 0 and "is finished" in resumed.stdout, resumed.stderr
    assert "The rest of it went to ada/ml-intern-sessions." in resumed.stderr
    assert manifest()["status"] == "finished" and not manifest()["lease"]
    asked = len(hub.requests)
    again = ml_intern("resume", "--yes", "--no-sync", home=home)
    assert again.returncode == 0 and len(hub.requests) == asked
    hub.users.clear()  # the token is nobody's any more
    refused = ml_intern("resume", "--yes", home=home)
    assert refused.returncode == 0 and "is finished" in refused.stdout, refused.stderr
    assert "Not all of session" in refused.stderr and "ml-intern sessions upload" in refused.stderr


def test_a_synced_session_goes_on_without_the_network(hub: ServedHub, tmp_path: Path) -> None:
    killed = live(tmp_path / "synced", kill_at=300, more=("--sync",))
    assert killed.killed
    hub.stop()
    resumed = live(tmp_path / "synced")
    assert resumed.code == 0, resumed.said
    assert "It is tried again" in resumed.said
    assert "Upload the rest: " in resumed.said and "ml-intern sessions upload" in resumed.said


# Keeps its state in the middle, and waits there until it is killed, unless it goes on from it.
_LOOP = 'with (args.out / "metrics.jsonl").open("w") as log:\n    for step in range(1, 401):\n'
_KEEPING = """import pickle, time
kept, first = args.out / "checkpoint" / "state", 1
if args.resume:
    first, weights, generator = pickle.loads(kept.read_bytes())
with (args.out / "metrics.jsonl").open("a") as log:
    for step in range(first, 401):
        if step == 201 and not args.resume and not args.smoke and args.variant == "zebra":
            kept.parent.mkdir()
            kept.write_bytes(pickle.dumps((step, weights, generator)))
            time.sleep(WAIT)
"""
_SMOKE = 'parser.add_argument("--smoke", action="store_true")\n'
CAREFUL = changed(changed(TRAIN, _SMOKE, _SMOKE + _SMOKE.replace("smoke", "resume")), _LOOP, _KEEPING)


def test_a_training_that_was_killed_with_its_supervisor_goes_on_elsewhere_from_its_checkpoint(
    hub: ServedHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_TRAIN", CAREFUL.replace("WAIT", "600"))
    here, there = tmp_path / "here", tmp_path / "there"
    killing = threading.Thread(target=kill_all_at_a_checkpoint, args=(here,))
    killing.start()
    assert live(here).killed
    killing.join()
    uploaded = ml_intern("sessions", "upload", home=here)
    assert "with its checkpoint" in uploaded.stderr
    moved = live(there, locator=re.findall(r"hf://\S+", uploaded.stdout)[0], more=("--sandbox", "none"))
    assert moved.code == 0, moved.said
    assert "came along: run" in moved.said
    assert any("on another machine, and went on here from its checkpoint" in one for one in guards_of(there))


def test_a_training_that_ctrl_c_stopped_goes_on_from_its_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    monkeypatch.setenv("ZOO_TRAIN", CAREFUL.replace("WAIT", "600"))
    stopping = threading.Thread(target=lambda: os.kill(holder_at_its_checkpoints(tmp_path / "home"), signal.SIGINT))
    stopping.start()
    stopped = live(tmp_path / "home")
    stopping.join()
    assert stopped.code == 130 and "ml-intern resume" in stopped.said, stopped.said
    assert processes_of(tmp_path / "home") == []
    resumed = live(tmp_path / "home")
    assert resumed.code == 0, resumed.said
    assert [message for message in guards_of(tmp_path / "home") if "went on from its checkpoint" in message]


def guards_of(home: Path) -> list[str]:
    lines = next(home.glob("sessions/*/evidence.jsonl")).read_text().splitlines()
    return [guard["message"] for line in lines for guard in json.loads(line)["evidence"]["guards"]]


def holder_at_its_checkpoints(home: Path) -> int:
    """The process of the harness, once all trainings that keep one have come to their checkpoint."""
    deadline = time.monotonic() + 120
    while len(list(home.glob("sessions/*/runs/*/out/checkpoint/state"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    (log,) = home.glob("sessions/*/holder.json")
    return int(json.loads(log.read_text())["pid"])


def kill_all_at_a_checkpoint(home: Path) -> None:
    """The harness and all supervisors."""
    os.kill(holder_at_its_checkpoints(home), signal.SIGKILL)
    for one in home.glob("sessions/*/runs/*/train.run"):
        if (standing := journal.standing(one)).alive:
            os.kill(standing.pid, signal.SIGKILL)
