"""How a run ends that the disk, or a fault of the program itself, breaks off: logged, in words, and it can go on."""

import contextlib
import errno
import os
import sys
from pathlib import Path

import pytest
from rich.console import Console

from ml_intern.agent import reading
from ml_intern.agent.context import Context
from ml_intern.cli import common
from ml_intern.cli.onlooker import let_go
from ml_intern.session.events import Event, EventType
from ml_intern.session.store import SessionFolder, SessionStore
from ml_intern.ui import live
from tests.support.inside import Said, inside

PAPER = "\\documentclass{article}\\begin{document}\\section{A}Words here.\\end{document}"


def run(home: Path, command: str = "run", *more: str) -> Said:
    paper = home.parent / "paper.tex"
    paper.write_text(PAPER)
    yes = ["--yes"] if command == "run" else []
    return inside(home, command, "--paper", str(paper), "--sandbox", "none", *yes, *more)


def only_session(home: Path) -> SessionFolder:
    (folder,) = SessionStore(home / "sessions").all()
    return folder


def break_off(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def broken(path: Path, content: str) -> None:
        raise error

    monkeypatch.setattr(reading, "write_whole", broken)


@pytest.mark.parametrize(("number", "next"), [(errno.ENOSPC, "Free some disk space"), (errno.EIO, "See to that")])
def test_a_file_that_cannot_be_written_ends_a_run_as_every_other_failure_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, next: str
) -> None:
    break_off(monkeypatch, OSError(number, os.strerror(number), "/home/x/paper.json"))
    done = run(tmp_path / "home")
    folder = only_session(tmp_path / "home")
    assert done.code == 1 and f"ml-intern resume {folder.id}" in done.err and "Traceback" not in done.err
    assert f"/home/x/paper.json: {os.strerror(number)}" in done.err and next in done.err
    last = folder.events()[-1]
    assert last.type == "session.failed" and os.strerror(number) in last.data["error"] and last.data["code"] == 1


def test_what_nobody_foresaw_keeps_its_traceback_and_can_go_on_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(common.typer, "echo", lambda text, **_: said.append(text))
    break_off(monkeypatch, ValueError("a fault of the program"))
    with pytest.raises(ValueError, match="a fault of the program"):
        run(tmp_path / "home")
    folder = only_session(tmp_path / "home")
    assert said[-1] == f"Session {folder.id} is kept; go on with: ml-intern resume {folder.id}"
    last = folder.events()[-1]
    assert (last.type, last.data["error"]) == ("session.failed", "ValueError: a fault of the program")


def test_a_plan_that_the_disk_broke_off_has_failed_in_its_log_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_off(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "/home/x/paper.json"))
    done = run(tmp_path / "home", "plan")
    assert done.code == 1 and "No space left" in done.err
    assert only_session(tmp_path / "home").state().status == "failed"


@pytest.mark.parametrize(
    ("error", "type", "said"),
    [
        (ValueError("a fault of the program"), "session.failed", "ValueError: a fault of the program"),
        (OSError(errno.EIO, "Input/output error"), "session.failed", "The computer could not do"),
        (KeyboardInterrupt(), "session.interrupted", ""),
    ],
)
def test_a_plan_that_is_broken_off_is_logged_as_a_run_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, type: str, said: str
) -> None:
    break_off(monkeypatch, error)
    with contextlib.suppress(ValueError):
        run(tmp_path / "home", "plan")
    last = only_session(tmp_path / "home").events()[-1]
    assert last.type == type and str(last.data.get("error", "")).startswith(said)
    assert last.data.get("code") == (1 if said else None)


def test_a_log_that_cannot_be_written_does_not_take_the_place_of_what_broke_a_plan_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_off(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "/home/x/paper.json"))
    emit = Context.emit

    def full(self: Context, type: EventType, **data: object) -> None:
        if type == "session.failed":
            raise OSError(errno.EIO, "the log, too")
        emit(self, type, **data)

    monkeypatch.setattr(Context, "emit", full)
    done = run(tmp_path / "home", "plan")
    assert done.code == 1 and "/home/x/paper.json: No space left" in done.err


def lose_reader(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """From the second event on, nothing can be written to stdout."""
    written = live.JsonLines.__call__

    def write(self: live.JsonLines, event: Event) -> None:
        if event.seq:
            raise OSError(number, os.strerror(number))
        written(self, event)

    monkeypatch.setattr(live.JsonLines, "__call__", write)


def test_a_run_whose_output_nobody_reads_any_more_is_interrupted_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_reader(monkeypatch, errno.EPIPE)
    done = run(tmp_path / "home", "run", "--json")
    folder = only_session(tmp_path / "home")
    assert (done.code, done.err) == (130, f"Interrupted. Go on with: ml-intern resume {folder.id}\n")
    assert done.out.count("\n") == 1 and folder.state().status == "interrupted"


def test_output_that_cannot_be_written_is_a_failure_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lose_reader(monkeypatch, errno.ENOSPC)
    done = run(tmp_path / "home", "run", "--json")
    folder = only_session(tmp_path / "home")
    assert done.code == 1 and "Free some disk space" in done.err and f"ml-intern resume {folder.id}" in done.err
    assert folder.state().status == "failed"


def test_a_lost_reader_does_not_take_the_place_of_what_ended_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_reader(monkeypatch, errno.EPIPE)
    break_off(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "/home/x/paper.json"))
    done = run(tmp_path / "home", "run", "--json")
    assert done.code == 1 and "/home/x/paper.json: No space left" in done.err
    assert "/home/x/paper.json" in only_session(tmp_path / "home").events()[-1].data["error"]


def test_verdicts_that_nobody_reads_leave_how_the_run_ended_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rich ends the process with 1 where a pipe is closed."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        console = Console(file=broken, highlight=False)
        monkeypatch.setattr(common, "_show_outcome", lambda _, console: console.print("x" * 100_000))
        common._show_end(SessionFolder(tmp_path), "live", console)
        monkeypatch.setattr(sys, "stdout", broken)
        let_go()
        monkeypatch.undo()


def test_a_stream_without_a_reader_is_let_go_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as broken:
        monkeypatch.setattr(sys, "stdout", broken)
        print("x")
        let_go()
        monkeypatch.undo()
