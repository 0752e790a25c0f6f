"""Many sessions: listed with what they are about, found by words, removed and pruned, never under somebody's hands."""

import fcntl
import json
import os
import time
from pathlib import Path

import pytest

from ml_intern.errors import SessionError
from ml_intern.session.catalogue import as_line, entry, left_overs, prunable, remove, search, size
from ml_intern.session.disk import write_whole
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


def test_words_are_found_in_outputs_that_were_cut_and_kept_beside_the_log(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    with EventLog(folder.log) as log:
        log.append("output.kept", purpose="build park", digest=log.keep("a hay\n a needle in it \n"))
        log.append("output.kept", purpose="build park", digest="0" * 64)  # its file is gone
    assert [(hit.type, hit.line) for hit in search(folder, "NEEDLE")] == [("output.kept", "a needle in it")]


def test_the_session_that_was_worked_on_last_is_the_last_whatever_its_id_says(tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "sessions")
    old, new, same = (write_session(tmp_path, f"2026010{day}-000000-aaaa") for day in (1, 2, 3))
    for folder, moment in ((old, 3000), (new, 2000), (same, 2000)):
        os.utime(folder.log, (moment, moment))
    assert [folder.id for folder in store.all()] == [old.id, same.id, new.id]
    assert store.find("last").id == old.id
    with EventLog(new.log) as log:
        log.append("session.resumed")
    assert store.find("last").id == new.id


def test_a_session_that_is_worked_on_is_not_removed(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    with EventLog(folder.log), pytest.raises(SessionError, match="is being worked on by process"):
        remove(folder)
    assert folder.log.exists()


def test_a_session_whose_run_outlived_its_harness_is_neither_removed_nor_pruned(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    write_whole(folder.run("r9") / "train.run", "{}")
    store = SessionStore(tmp_path / "sessions")
    with (folder.run("r9") / "train.run").open() as journal:
        fcntl.flock(journal, fcntl.LOCK_EX)
        with pytest.raises(SessionError, match="still going on: r9"):
            remove(folder)
        assert folder.root.exists() and prunable(store, 0, ("stopped",), 0) == []
    assert [one.folder.id for one in prunable(store, 0, ("stopped",), 0)] == [folder.id]
    remove(folder)


def test_what_was_replaced_goes_once_the_new_one_is_in_place(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    store = SessionStore(tmp_path / "sessions")
    for id in (folder.id, "20200101-000000-0000"):
        write_whole(store.root / f".replaced-{id}-17" / "events.jsonl", "")
    assert left_overs(store) == [f"{folder.id}-17"], "of the other it is all that is left"


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


def test_a_link_out_of_the_papers_folder_is_not_followed_into_the_session(tmp_path: Path) -> None:
    paper, folder = tmp_path / "paper", write_session(tmp_path)
    write_whole(paper / "sections" / "one.tex", "words")
    write_whole(tmp_path / "private" / "id_rsa", "mine")
    (paper / "key.tex").symlink_to(tmp_path / "private" / "id_rsa")
    (paper / "more").symlink_to(tmp_path / "private")
    (paper / "main.tex").symlink_to(Path("sections") / "one.tex")
    folder.keep_source(str(paper))
    kept = folder.root / "source"
    found = sorted(str(one.relative_to(kept)) for one in kept.rglob("*") if one.is_file())
    assert found == ["paper/main.tex", "paper/sections/one.tex"]
    (tmp_path / "link.tex").symlink_to(paper / "sections" / "one.tex")
    folder.keep_source(str(tmp_path / "link.tex"))
    assert (kept / "link.tex").read_text() == "words", "what a person names is what they mean"
