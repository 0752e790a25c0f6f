"""`ml-intern sessions`: what is listed in which order, what is shown of a damaged one, which one a resume takes."""

import os
import time
from pathlib import Path

import pytest

from ml_intern.session import catalogue
from ml_intern.session.log import EventLog
from ml_intern.session.store import SessionFolder, SessionStore
from tests.cli.test_strange_sessions import SETTINGS
from tests.support.inside import inside
from tests.support.session import write_session


def told(home: Path, *arguments: str) -> list[str]:
    """Ids, in the order in which they are listed."""
    done = inside(home, "sessions", "list", *arguments)
    assert done.code == 0, done.err
    return [line.split()[0] for line in done.out.splitlines()]


def test_sessions_are_sorted_and_picked_by_age_and_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small, large, young = (write_session(tmp_path, f"2026010{day}-000000-aaaa") for day in (1, 2, 3))
    (large.root / "source.bin").write_bytes(b"x" * 2_000_000)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 7200)
    with EventLog(young.log) as log:
        log.append("note", text="a moment ago")
    for place, folder in enumerate((small, large, young)):
        os.utime(folder.log, (now + place, now + place))
    assert told(tmp_path) == [young.id, large.id, small.id]
    assert told(tmp_path, "--sort", "size")[0] == large.id
    assert told(tmp_path, "--sort", "age") == [small.id, large.id, young.id]
    assert told(tmp_path, "--older-than", "1h") == [large.id, small.id]
    assert told(tmp_path, "--larger-than", "1.5 MB") == told(tmp_path, "--larger-than", "1500kb") == [large.id]
    assert "no sessions like that" in inside(tmp_path, "sessions", "list", "--larger-than", "2GB").out
    for wrong in (("--larger-than", "much"), ("--older-than", "long")):
        assert inside(tmp_path, "sessions", "list", *wrong).code == 2


@pytest.mark.parametrize("options", [(), ("--json",), ("--sort", "size", "--larger-than", "1kB")])
def test_the_files_of_a_listed_session_are_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    folder = write_session(tmp_path)
    counted: list[SessionFolder] = []
    true = catalogue.size
    monkeypatch.setattr(catalogue, "size", lambda one: counted.append(one) or true(one))
    assert folder.id in inside(tmp_path, "sessions", "list", *options).out
    assert len(counted) == 1


def test_the_log_of_a_session_that_is_shown_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_session(tmp_path)
    read: list[Path] = []
    true = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: read.append(path) or true(path))
    assert folder.id in inside(tmp_path, "sessions", "show", folder.id).out
    assert read.count(folder.log) == 1


def test_all_events_of_a_session_are_listed_where_they_are_asked_for(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    with EventLog(folder.log) as log:
        for number in range(30):
            log.append("note", text=f"note {number}")
    lines = inside(tmp_path, "sessions", "show", folder.id, "--events").out.splitlines()
    numbers = [int(line.split()[0]) for line in lines if line[:6].strip().isdigit()]
    assert numbers == list(range(len(folder.events())))
    assert "note 0" not in inside(tmp_path, "sessions", "show", folder.id).out


@pytest.mark.parametrize("options", [(), ("--events",)])
def test_a_damaged_session_is_shown_up_to_the_damage(tmp_path: Path, options: tuple[str, ...]) -> None:
    folder = write_session(tmp_path)
    lines = folder.log.read_bytes().splitlines(keepends=True)
    folder.log.write_bytes(b"".join([*lines[:6], lines[6].replace(b'"r1"', b'"r9"'), *lines[7:]]))
    done = inside(tmp_path, "sessions", "show", folder.id, *options)
    assert done.code == 0 and "Zebras" in done.out and "damaged at line 7" in done.out
    assert "     5  " in done.out and "     6  " not in done.out and "r-open" not in done.out
    assert f"ml-intern fork {folder.id} --at 5" in done.out


def test_a_session_whose_log_says_nonsense_is_shown_up_to_that(tmp_path: Path) -> None:
    folder = write_session(tmp_path)
    with EventLog(folder.log) as log:
        log.append("plan.approved")
        log.append("note", text="behind it")
    done = inside(tmp_path, "sessions", "show", folder.id)
    assert "(plan.approved) cannot be understood" in done.out and "behind it" not in done.out


def session(home: Path, moment: int, **settings: object) -> SessionFolder:
    folder = SessionStore(home / "sessions").create()
    with EventLog(folder.log) as log:
        log.append("session.created", settings=SETTINGS | settings)
    os.utime(folder.log, (moment, moment))
    return folder


def test_a_resume_without_a_name_passes_over_plans_that_came_later(tmp_path: Path) -> None:
    folder = session(tmp_path, 1000)
    plan = session(tmp_path, 2000, plan_only=True)
    done = inside(tmp_path, "resume", "--yes", "--sandbox", "none")
    assert f"Session {folder.id} goes on" in done.err and "missing.tex" in done.err
    assert "session.resumed" in [event.type for event in folder.events()]
    assert "plan alone" in inside(tmp_path, "resume", plan.id).err


def test_a_quiet_resume_says_nothing_of_the_plans_that_it_passes_over(tmp_path: Path) -> None:
    folder = session(tmp_path, 1000)
    session(tmp_path, 2000, plan_only=True)
    done = inside(tmp_path, "resume", "--yes", "--sandbox", "none", "--quiet")
    assert "session.resumed" in [event.type for event in folder.events()]
    assert "plans alone" not in done.err and "missing.tex" in done.err
