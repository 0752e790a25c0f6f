"""Many sessions: listed with what they are about, found by words, removed and pruned, never under somebody's hands."""

import json
import time
from pathlib import Path

import pytest

from ml_intern.errors import SessionError
from ml_intern.session.catalogue import as_line, entry, left_overs, prunable, remove, search, size
from ml_intern.session.log import EventLog
from ml_intern.session.store import SessionFolder, SessionStore
from tests.support.session import write_session


def finished(home: Path, id: str) -> SessionFolder:
    folder = write_session(home, id)
    with EventLog(folder.log) as log:
        log.append("session.finished")
    return folder


def test_a_session_that_nobody_runs_any_more_is_stopped_not_running(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    assert entry(folder).status == "stopped"
    with EventLog(folder.log):
        assert entry(folder).status == "running"


def test_a_damaged_session_is_listed_as_such(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    folder.log.write_bytes(folder.log.read_bytes().replace(b"Zebras", b"Zobras", 1))
    found = entry(folder)
    assert found.status == "damaged" and "line 2" in found.problem
    assert json.loads(as_line(found))["status"] == "damaged"


def test_a_line_for_programs_has_id_status_and_size(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    told = json.loads(as_line(entry(folder)))
    assert (told["id"], told["title"], told["runs"]) == (folder.id, "Zebras", 2)
    assert told["bytes"] == size(folder) > 1000


def test_words_are_found_in_any_case_also_in_long_outputs(tmp_path: Path) -> None:
    folder = write_session(tmp_path, secret="needle-in-the-hay")
    hits = search(folder, "NEEDLE-in")
    assert {hit.type for hit in hits} == {"model.replied", "tool.intent", "tool.result"}
    assert search(folder, "(.*)") == []


def test_a_session_that_is_worked_on_is_not_removed(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    with EventLog(folder.log), pytest.raises(SessionError, match="is being worked on by process"):
        remove(folder)
    assert folder.log.exists()


def test_a_removal_that_was_interrupted_leaves_no_half_session(tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "sessions")
    folder = write_session(tmp_path)
    folder.root.rename(folder.root.with_name(f".removed-{folder.id}"))  # as far as a crash lets it come
    assert list(store.all()) == []
    assert left_overs(store) == [folder.id]
    assert list(store.root.iterdir()) == []


def test_pruning_takes_what_is_old_and_finished_and_keeps_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in (1, 2, 3):
        finished(tmp_path, f"2026010{day}-000000-aaaa")
    write_session(tmp_path, "20260104-000000-aaaa")  # could be resumed
    store = SessionStore(tmp_path / "sessions")
    assert prunable(store, 3600, ("finished",), 0) == []
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 7200)
    days = [one.folder.id[7] for one in prunable(store, 3600, ("finished",), 0)]
    assert days == ["3", "2", "1"]
    assert [one.folder.id[7] for one in prunable(store, 3600, ("finished",), 2)] == ["2", "1"]
    assert len(prunable(store, 3600, ("finished", "stopped"), 0)) == 4
