"""Downloads that are cut: what came whole is not fetched again, and nothing is left once all is here."""

import _thread
import signal
import threading
from pathlib import Path

import pytest

from ml_intern.session.disk import write_whole
from ml_intern.session.log import EventLog
from ml_intern.session.store import SessionFolder
from ml_intern.session.sync import remote
from ml_intern.session.sync.remote import SyncError
from tests.session.conftest import World
from tests.support.session import write_session


def asked(world: World) -> int:
    """Requests for files so far."""
    return world.hub.count("/resolve/")


@pytest.fixture
def sent(world: World) -> SessionFolder:
    folder = write_session(world.here, runs=10)
    world.uploader(folder).upload()
    return folder


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_AT_ONCE", 1)


def test_a_file_is_one_request(world: World, sent: SessionFolder) -> None:
    manifest, before = world.manifest(sent.id), asked(world)
    world.fetch(sent.id)
    assert asked(world) - before <= len(manifest.files) + len(manifest.segments) + 3, "and the manifest"


def test_a_hub_that_asks_for_patience_in_the_middle_is_waited_for(world: World, sent: SessionFolder) -> None:
    fault = world.hub.faults.refuse("/runs/", 429, times=3, skip=4)
    assert world.fetch(sent.id).new and fault.struck == 3


def test_ctrl_c_ends_a_download_that_has_stalled(world: World, sent: SessionFolder) -> None:
    released, answered = threading.Event(), threading.Event()

    def stall() -> None:
        _thread.interrupt_main()
        released.wait(10)
        answered.set()

    world.hub.faults.before("/runs/", stall)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            world.fetch(sent.id)
        assert not answered.is_set()
        assert world.manifest(sent.id).lease is None
    finally:
        signal.signal(signal.SIGINT, before)
        released.set()


def test_a_connection_that_breaks_in_the_middle_of_a_file_is_made_anew(world: World, sent: SessionFolder) -> None:
    fault = world.hub.faults.cut_download("/runs/", after=3, times=2, skip=4)
    assert world.fetch(sent.id).new and fault.struck == 2


@pytest.mark.usefixtures("one_at_a_time")
def test_what_came_before_a_fault_is_not_fetched_again(world: World, sent: SessionFolder) -> None:
    fault = world.hub.faults.refuse("/runs/", 503, times=100, skip=6)
    with pytest.raises(SyncError, match="cannot be fetched"):
        world.fetch(sent.id)
    assert fault.struck and world.manifest(sent.id).lease is None
    world.hub.faults.clear()
    with EventLog(sent.log) as log:
        log.append("note", text="another revision")
    world.uploader(sent).upload()
    before = len(world.hub.requests)
    assert world.fetch(sent.id).new
    again = [name for name in map(str, world.hub.requests[before:]) if "/runs/" in name]
    assert len(again) == len([name for name in world.manifest(sent.id).files if "/runs/" in name]) - 9 - 6
    assert [path.name for path in (world.there / "sessions").iterdir()] == [sent.id]


def test_what_a_killed_download_left_is_taken_by_its_content(world: World, sent: SessionFolder) -> None:
    left = world.there / "sessions" / f".coming-{sent.id}-4194399"
    write_whole(left / "runs" / "anywhere", (sent.run("r3") / "out" / "model.safetensors").read_bytes())
    write_whole(left / "runs" / "wrong", b"x" * (sent.run("r4") / "out" / "model.safetensors").stat().st_size)
    (left / "link").symlink_to("/etc/passwd")
    before = len(world.hub.requests)
    came = world.fetch(sent.id).folder
    again = [name for name in map(str, world.hub.requests[before:]) if "model.safetensors" in name]
    assert len(again) == 9 and not [name for name in again if "/r3/" in name]
    assert (came.run("r3") / "out" / "model.safetensors").read_bytes() == b"\0weightsr3"
    assert not left.exists()


def test_the_same_content_comes_once(world: World) -> None:
    folder = write_session(world.here, runs=6)
    world.uploader(folder).upload()
    before = len(world.hub.requests)
    came = world.fetch(folder.id).folder
    assert len([name for name in map(str, world.hub.requests[before:]) if "train.log" in name]) == 1
    assert {(came.run(f"r{number}") / "train.log").read_text() for number in range(6)} == {"trained\n"}


def test_large_files_come_in_the_client_s_own_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_SMALL", 5)
    folder = write_session(world.here)
    world.uploader(folder).upload()
    came = world.fetch(folder.id).folder
    assert (came.run("r1") / "out" / "model.safetensors").read_bytes() == b"\0weightsr1"
    assert not [path for path in Path(came.root).rglob("*") if path.name == remote.HALF]
