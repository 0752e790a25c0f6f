"""The event log: durable, chained, one writer; a torn tail is set aside and a damaged middle is never cut."""

import errno
import importlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from ml_intern.errors import SessionError
from ml_intern.session.blobs import LONGEST
from ml_intern.session.events import encoded
from ml_intern.session.log import EventLog, is_held, read_log
from ml_intern.session.state import fold
from tests.support.boundaries import Boundaries

VERSION_1 = Path(__file__).with_name("data") / "version-1.jsonl"


def three_events(path: Path) -> bytes:
    with EventLog(path) as log:
        log.append("session.created", settings={"model": "recipes"})
        log.append("phase.started", phase="read")
        log.append("note", text="üñ\n\u2028 ok")
    return path.read_bytes()


def log_of(folder: Path, content: bytes) -> Path:
    folder.mkdir(parents=True)
    (folder / "events.jsonl").write_bytes(content)
    return folder / "events.jsonl"


def test_what_was_appended_is_read_back_in_order(tmp_path: Path) -> None:
    three_events(tmp_path / "events.jsonl")
    events = read_log(tmp_path / "events.jsonl")
    assert [event.type for event in events] == ["session.created", "phase.started", "note"]
    assert fold(events).notes == ("üñ\n\u2028 ok",)


def test_the_writer_sees_what_a_reader_will_see(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        log.append("session.created", settings={"limit": None, "share": 0.1, "names": ["ü", "b"]})
        log.append("note", text="x" * (LONGEST + 1))
        assert list(log.events) == list(read_log(log.path))


def test_odd_values_survive(tmp_path: Path) -> None:
    with EventLog(tmp_path / "events.jsonl") as log:
        log.append("note", text="lone \udc80 surrogate, \0, \x1b[31m, </script>")
        log.append("evidence.recorded", metrics={"nan": float("nan"), "inf": float("inf"), "big": 10**40})
    events = read_log(tmp_path / "events.jsonl")
    assert events[0].data["text"] == "lone ? surrogate, \0, \x1b[31m, </script>"
    assert events[1].data["metrics"]["inf"] == float("inf")


def test_a_log_cut_at_any_byte_keeps_every_whole_event_and_goes_on(tmp_path: Path) -> None:
    whole = three_events(tmp_path / "whole" / "events.jsonl")
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole)):
        path = log_of(tmp_path / str(cut), whole[:cut])
        kept = sum(end <= cut for end in ends)
        with EventLog(path) as log:
            recovered = cut not in (0, *ends)
            assert len(log.events) == kept + recovered
            log.append("note", text="after")
        assert read_log(path)[-1].data == {"text": "after"}
        pieces = list(path.parent.glob("*.torn-*"))
        assert [piece.read_bytes() for piece in pieces] == (
            [whole[max([0, *[e for e in ends if e <= cut]]) : cut]] * recovered
        )


def test_a_tail_of_nul_bytes_is_set_aside(tmp_path: Path) -> None:
    path = log_of(tmp_path / "s", three_events(tmp_path / "whole" / "events.jsonl") + b"\0" * 4096)
    with EventLog(path) as log:
        assert log.events[-1].type == "log.recovered" and log.events[-1].data["bytes"] == 4096


def test_a_crash_during_recovery_loses_neither_the_piece_nor_the_note(tmp_path: Path) -> None:
    whole = three_events(tmp_path / "whole" / "events.jsonl")
    path = log_of(tmp_path / "s", whole)
    (tmp_path / "s" / f"events.jsonl.torn-{len(whole)}-7").write_bytes(
        b'{"versi'
    )  # cut off, and killed before the note
    for _ in range(2):
        with EventLog(path) as log:
            assert [event.type for event in log.events].count("log.recovered") == 1


def killed(path: Path, place: int) -> bool:
    """Opens the log in a fork that ends by SIGKILL at its place of that number; False where it has fewer."""
    importlib.import_module("httpx")  # which each fork would import anew
    child = os.fork()
    if not child:
        try:
            Boundaries(place, path.parent).install()
            EventLog(path)
            os._exit(0)
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    return status == signal.SIGKILL


def test_recovery_killed_at_any_place_and_then_as_far_on_once_more_loses_nothing(tmp_path: Path) -> None:
    whole = three_events(tmp_path / "whole" / "events.jsonl")
    torn = whole[: whole.rindex(b"\n", 0, -1) + 1]
    tail, twice = whole[len(torn) : -9], 0
    for place in range(1, 1000):
        path = log_of(tmp_path / str(place), torn + tail)
        if not killed(path, place):
            break
        twice += killed(path, place)
        with EventLog(path) as log:
            told = [event.data["aside"] for event in log.events if event.type == "log.recovered"]
            log.append("note", text="goes on")
        pieces = {piece.name: piece.read_bytes() for piece in path.parent.glob("events.jsonl.torn-*")}
        assert sorted(told) == sorted(pieces) and tail in pieces.values(), f"killed at {place}"
        assert path.read_bytes().startswith(torn) and read_log(path)[-1].data == {"text": "goes on"}
    assert place > 10 and twice > 5


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda lines: [lines[0], lines[1].replace(b"read", b"reed"), lines[2]], id="a word changed"),
        pytest.param(lambda lines: [lines[0], lines[2]], id="a line taken out"),
        pytest.param(lambda lines: [lines[0], lines[1], lines[1], lines[2]], id="a line twice"),
        pytest.param(lambda lines: [lines[0], lines[1][:-8] + b'aaaaa"}\n', lines[2]], id="another checksum"),
        pytest.param(lambda lines: [lines[0], b"\0" * 512 + b"\n", lines[1], lines[2]], id="a block of NULs"),
        pytest.param(lambda lines: [lines[0], b"\n", lines[1], lines[2]], id="an empty line"),
        pytest.param(lambda lines: [lines[0], lines[1].rstrip(b"\n") + b" \n", lines[2]], id="a blank more"),
        pytest.param(lambda lines: [lines[0][:40] + lines[1][40:], lines[1], lines[2]], id="two lines spliced"),
    ],
)  # fmt: skip
def test_a_damaged_middle_is_reported_and_nothing_is_cut(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    lines = three_events(tmp_path / "whole" / "events.jsonl").splitlines(keepends=True)
    damaged = b"".join(damage(lines))
    path = log_of(tmp_path / "s", damaged)
    with pytest.raises(SessionError, match="damaged at line"):
        EventLog(path)
    assert path.read_bytes() == damaged
    with pytest.raises(SessionError, match="damaged at line"):
        read_log(path)


def test_every_flipped_bit_before_the_last_line_is_noticed(tmp_path: Path) -> None:
    whole = three_events(tmp_path / "whole" / "events.jsonl")
    last = whole.rindex(b"\n", 0, -1) + 1
    path = log_of(tmp_path / "s", whole)
    for place in range(last):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << (place % 8)
        path.write_bytes(flipped)
        with pytest.raises(SessionError):
            read_log(path)


def test_a_second_writer_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    with EventLog(path), pytest.raises(SessionError, match=f"process {os.getpid()} on "):
        EventLog(path)


def test_whether_it_is_held_can_be_seen_without_disturbing_the_writer(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    assert not is_held(path)
    with EventLog(path) as log:
        assert is_held(path)
        log.append("note", text="still mine")
    assert not is_held(path)


def test_a_log_of_version_1_opens_and_goes_on_in_version_2(tmp_path: Path) -> None:
    path = log_of(tmp_path / "s", VERSION_1.read_bytes())
    with EventLog(path) as log:
        state = fold(log.events)
        assert (state.status, state.iterations, state.runs, state.cost_usd) == ("finished", 1, 1, 0.0231)
        log.append("session.resumed", settings=state.settings)
    assert [event.version for event in read_log(path)][-2:] == [1, 2]


def test_a_changed_line_of_version_1_is_noticed(tmp_path: Path) -> None:
    path = log_of(tmp_path / "s", VERSION_1.read_bytes().replace(b'"input_tokens":11000', b'"input_tokens":11001'))
    with pytest.raises(SessionError, match="damaged at line 6"):
        read_log(path)


def test_a_log_of_a_later_version_is_left_alone_with_words(tmp_path: Path) -> None:
    content = three_events(tmp_path / "whole" / "events.jsonl")
    previous = json.loads(content.splitlines()[-1])["checksum"]
    fields = {"version": 3, "seq": 3, "type": "note", "time": 1.0, "mono": 1.0, "data": {}, "previous": previous}
    path = log_of(tmp_path / "s", content + encoded(fields)[0])
    with pytest.raises(SessionError, match="newer ml-intern"):
        EventLog(path)
    assert path.read_bytes().startswith(content)


def test_the_clock_may_be_set_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with EventLog(tmp_path / "events.jsonl") as log:
        for moment in (now, now - 86400, now + 86400):
            monkeypatch.setattr(time, "time", lambda moment=moment: moment)
            log.append("note", text="x")
    assert len(read_log(tmp_path / "events.jsonl")) == 3


def test_a_long_text_is_a_blob_beside_the_log_and_its_damage_is_noticed(tmp_path: Path) -> None:
    long = "ä" * (LONGEST + 1)
    with EventLog(tmp_path / "events.jsonl") as log:
        log.append("tool.result", id="1", result=long, nested=[{"again": long}])
    (blob,) = (tmp_path / "blobs").iterdir()
    assert len((tmp_path / "events.jsonl").read_bytes()) < 1000
    (event,) = read_log(tmp_path / "events.jsonl")
    assert event.data["result"] == long == event.data["nested"][0]["again"]
    blob.write_bytes(b"x")
    with pytest.raises(SessionError, match="damaged"):
        read_log(tmp_path / "events.jsonl")


def test_secrets_are_taken_out_before_anything_is_written(tmp_path: Path) -> None:
    def clean(data: dict[str, str]) -> dict[str, str]:
        return {key: value.replace("hunter2", "***") for key, value in data.items()}

    with EventLog(tmp_path / "events.jsonl", clean) as log:
        log.append("note", text="the word is hunter2")
        log.append("note", text="hunter2" * LONGEST)
    assert all(b"hunter2" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


# The lock around them is not stepped through: a signal is never handled between its taking and its `with`.
WRITING = [one.__code__ for one in (EventLog._append, EventLog._write, EventLog._drop_interrupted)]


def interrupted(log: EventLog, steps: int) -> bool:
    """Ctrl-C after so many steps of the writing of an event; False where it was over before."""
    left = steps

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code not in WRITING:
            return None
        frame.f_trace_opcodes = True
        left -= event == "opcode"
        if left < 0:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        log.append("note", text="cut off")
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def test_ctrl_c_at_any_step_of_a_write_leaves_a_log_that_goes_on(tmp_path: Path) -> None:
    whole, steps = 0, 0
    while True:
        path = tmp_path / str(steps) / "events.jsonl"
        with EventLog(path) as log:
            log.append("note", text="before")
            if not interrupted(log, steps):
                break
            log.append("session.interrupted")
            assert list(log.events) == list(read_log(path)), f"after {steps} steps"
        kinds = [event.type for event in read_log(path)]
        assert kinds in (["note", "session.interrupted"], ["note", "note", "session.interrupted"])
        whole += len(kinds) == 3
        steps += 1
    assert steps > 100 and 0 < whole < steps / 2


def test_a_log_damaged_from_its_first_line_on_names_no_moment_to_fork_at(tmp_path: Path) -> None:
    lines = three_events(tmp_path / "whole" / "events.jsonl").splitlines(keepends=True)
    path = log_of(tmp_path / "s", b"".join(lines[1:]))
    with pytest.raises(SessionError, match="damaged at line 1") as caught:
        read_log(path)
    assert "--at" not in str(caught.value)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(SessionError, match="--at 0"):
        read_log(path)


class Disk:
    """Stands before `os.write` and `os.fdatasync` of the log's file, and fails as ordered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.short = self.write_error = self.flush_error = 0
        write, flush = os.write, os.fdatasync

        def failing_write(fd: int, data: bytes) -> int:
            if self.write_error:
                write(fd, bytes(data)[: len(data) // 2])  # half of it had reached the file
                raise OSError(self.write_error, os.strerror(self.write_error))
            return write(fd, bytes(data)[: self.short] if self.short else data)

        def failing_flush(fd: int) -> None:
            if self.flush_error:
                raise OSError(self.flush_error, os.strerror(self.flush_error))
            flush(fd)

        monkeypatch.setattr(os, "write", failing_write)
        monkeypatch.setattr(os, "fdatasync", failing_flush)


def test_short_writes_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Disk(monkeypatch).short = 7
    three_events(tmp_path / "events.jsonl")
    assert len(read_log(tmp_path / "events.jsonl")) == 3


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_failed_write_stops_before_anything_else_and_the_log_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    disk = Disk(monkeypatch)
    with EventLog(tmp_path / "events.jsonl") as log:
        log.append("note", text="before")
        disk.write_error = error
        with pytest.raises(SessionError, match="nothing further was done"):
            log.append("note", text="lost")
        disk.write_error = 0
        log.append("note", text="after")
    assert [event.data["text"] for event in read_log(tmp_path / "events.jsonl")] == ["before", "after"]


def test_after_a_failed_flush_nothing_more_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    with EventLog(tmp_path / "events.jsonl") as log:
        log.append("note", text="before")
        disk.flush_error = errno.EIO
        with pytest.raises(SessionError):
            log.append("note", text="lost")
        disk.flush_error = 0
        with pytest.raises(SessionError, match="Input/output error"):
            log.append("note", text="refused")
    with EventLog(tmp_path / "events.jsonl") as log:
        assert [event.data["text"] for event in log.events] == ["before"]


def test_a_real_limit_on_a_file_stops_it_too(tmp_path: Path) -> None:
    """The kernel's own short write and EFBIG."""
    program = (
        "import pathlib, resource, signal\n"
        "from ml_intern.errors import SessionError\n"
        "from ml_intern.session.log import EventLog\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"log = EventLog(pathlib.Path({str(tmp_path / 'events.jsonl')!r}))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))\n"
        "count = 0\n"
        "try:\n"
        "    while True:\n"
        "        log.append('note', text='x' * 100)\n"
        "        count += 1\n"
        "except SessionError as error:\n"
        "    print(count, 'File too large' in str(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    count, told = done.stdout.split()
    assert told == "True" and int(count) == len(read_log(tmp_path / "events.jsonl")) > 5
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 5000


def test_on_a_full_disk_the_log_ends_whole_and_goes_on_with_more_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        with EventLog(disk / "events.jsonl") as log:
            with pytest.raises(SessionError, match="No space left on device"):
                for _ in range(100_000):
                    log.append("note", text="x" * 900)
            kept = len(log.events)
            with pytest.raises(SessionError, match="No space left on device"):
                log.append("tool.result", result="y" * (LONGEST + 1))
            subprocess.run(["mount", "-o", "remount,size=2m", str(disk)], check=True)
            log.append("note", text="more room")
        events = read_log(disk / "events.jsonl")
        assert kept > 500 and len(events) == kept + 1 and events[-1].data == {"text": "more room"}
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
