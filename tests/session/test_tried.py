"""What was tried by hand while an experiment is being built goes along on a journey, or it is said that it does not."""

import contextlib
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ml_intern.session import tried as module
from ml_intern.session.disk import write_whole
from ml_intern.session.fork import fork
from ml_intern.session.log import EventLog
from ml_intern.session.store import SessionFolder, SessionStore
from ml_intern.session.sync.outgoing import OutgoingLog
from ml_intern.session.sync.parcel import pack
from ml_intern.session.sync.remembered import Search
from ml_intern.tools.commands import Commands
from tests.session.conftest import SECRET, World
from tests.support.session import write_session


def at_work(home: Path) -> SessionFolder:
    """A session whose model has carried out two commands, one of them in the background."""
    folder = write_session(home)
    bench = folder.bench("park")
    write_whole(bench / "programs" / "1" / "command.sh", "python look.py\n")
    write_whole(bench / "programs" / "2" / "program.py", f"KEY = '{SECRET}'\n")
    write_whole(bench / "logs" / "1.log", "seen\n")
    write_whole(bench / "logs" / "2.run", '{"event": "started", "pid": 1}\n')
    write_whole(bench / "scratch" / "look.py", "print('seen')\n")
    write_whole(bench / "background" / "2" / "model.bin", b"\0" * 300)
    write_whole(folder.bench("zoo") / "scratch" / "old.py", "of one that is built\n")
    with EventLog(folder.log) as log:
        log.append("session.interrupted")
    return folder


def names(folder: SessionFolder) -> list[str]:
    root = folder.root / "bench"
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


ALL = ["park/background/2/model.bin", "park/logs/1.log", "park/logs/2.run", "park/programs/1/command.sh",
       "park/programs/2/program.py", "park/scratch/look.py"]  # fmt: skip


def test_it_goes_along_without_secrets_when_a_session_moves(world: World) -> None:
    folder = at_work(world.here)
    world.uploader(folder, {"HF_TOKEN": SECRET}).upload()
    came = world.fetch(folder.id)
    assert names(came.folder) == ALL
    bench: Any = SimpleNamespace(folder=came.folder.bench("park"), closing=contextlib.ExitStack())
    assert Commands(bench).ids() == [1, 2], "the next job is the third"
    assert "[redacted" in (came.folder.bench("park") / "programs" / "2" / "program.py").read_text()
    assert not [name for name, content in world.files().items() if SECRET.encode() in content]
    assert not any("commands" in words for words in came.manifest.left_out)


@pytest.mark.parametrize("limit", ["_LARGEST", "_ALL"])
def test_what_is_too_much_stays_and_that_is_said(world: World, monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    monkeypatch.setattr(module, limit, 250)
    folder = at_work(world.here)
    world.uploader(folder).upload()
    came = world.fetch(folder.id)
    assert names(came.folder) == [name for name in ALL if "model.bin" not in name]
    assert [words for words in came.manifest.left_out if "while park was being built: 1 files" in words]
    forked = fork(SessionStore(world.here / "sessions"), folder, None)
    assert "park" in str(forked.events()[-1].data["left_out"])


def test_a_fork_has_what_is_still_as_it_was_then(tmp_path: Path) -> None:
    folder = at_work(tmp_path)
    last = folder.events()[-1]
    for number, name in enumerate(ALL):
        os.utime(folder.root / "bench" / name, (last.time, last.time + (60 if number % 2 else -60)))
    with EventLog(folder.log) as log:
        log.append("note", text="later")
    store = SessionStore(tmp_path / "sessions")
    assert names(fork(store, folder, None)) == ALL
    earlier = fork(store, folder, last.seq)
    assert names(earlier) == ALL[::2]
    assert names(fork(store, earlier, None)) == ALL[::2]
    assert sorted(path.name for path in earlier.root.iterdir() if path.name.startswith((".", "parcel"))) == []


def test_what_changes_while_it_is_uploaded_arrives_whole(world: World) -> None:
    folder = at_work(world.here)
    log = folder.bench("park") / "logs" / "1.log"
    world.hub.faults.before("/commit/", lambda: log.write_text("seen, and more\n"))
    uploader = world.uploader(folder)
    uploader.upload()
    came = world.fetch(folder.id, world.there).folder
    assert (came.bench("park") / "logs" / "1.log").read_text() == "seen\n"


def test_two_uploads_at_once_take_nothing_from_each_other(world: World) -> None:
    folder = at_work(world.here)
    log = folder.bench("park") / "logs" / "1.log"
    other = world.uploader(folder)

    def meanwhile() -> None:
        log.unlink()
        pack(folder, folder.events(), Search(other.redactor), OutgoingLog(other.redactor, folder.blobs))

    world.hub.faults.before("/preupload/", meanwhile)
    world.uploader(folder).upload()
    assert world.files()[f"{folder.id}/files/bench/park/logs/1.log"] == b"seen\n"
    assert not [path.name for path in folder.root.iterdir() if path.name.startswith("parcel")]


def test_a_link_that_a_command_made_is_not_followed(world: World) -> None:
    folder = at_work(world.here)
    write_whole(world.here / "diary", "mine")
    (folder.bench("park") / "scratch" / "notes").symlink_to(world.here / "diary")
    (folder.bench("park") / "scratch" / "all").symlink_to(world.here)
    world.uploader(folder).upload()
    assert names(world.fetch(folder.id).folder) == ALL


def test_a_folder_that_becomes_a_link_meanwhile_brings_nothing_from_outside(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = at_work(world.here)
    write_whole(world.here / "private" / "look.py", "mine")
    scratch, rank = folder.bench("park") / "scratch", module._rank

    def rank_and_swap(*given: Any) -> Any:
        if not scratch.is_symlink():
            scratch.rename(scratch.with_name("aside"))
            scratch.symlink_to(world.here / "private")
        return rank(*given)

    monkeypatch.setattr(module, "_rank", rank_and_swap)
    world.uploader(folder).upload()
    forked = fork(SessionStore(world.here / "sessions"), folder, None)
    assert b"mine" not in world.files().values()
    assert "park/scratch/look.py" not in names(forked)
