"""The append-only event log: one writer under a lock, a durable write per event, a chain of checksums.

A torn tail is moved aside and noted; a damaged middle is reported and never cut. Knows nothing of what events mean.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ml_intern.errors import SessionError
from ml_intern.session.blobs import Blobs
from ml_intern.session.disk import make_folder, sync, write_whole
from ml_intern.session.events import GENESIS, VERSION, Event, EventType, NewerVersion, encoded, parsed

_ASIDE = ".torn-"
_TRIES = 10


def read_log(path: Path) -> tuple[Event, ...]:
    """The events of a log that nobody needs to hold open, long texts put back; a torn last line is left out. Raises
    SessionError."""
    events, _ = scan(path, path.read_bytes() if path.exists() else b"")
    return tuple(events)


def read_good(path: Path) -> tuple[tuple[Event, ...], SessionError | None]:
    """As `read_log` as far as the log is good, and what is wrong behind that; None where nothing is."""
    events: list[Event] = []
    try:
        for event, _ in _scanned(path, path.read_bytes() if path.exists() else b""):
            events.append(event)
    except SessionError as error:
        return tuple(events), error
    return tuple(events), None


def scan(path: Path, content: bytes) -> tuple[list[Event], int]:
    """(events, number of good bytes). A torn tail is left out; anything else that is wrong is damage."""
    found = list(_scanned(path, content))
    return [event for event, _ in found], found[-1][1] if found else 0


def _scanned(path: Path, content: bytes) -> Iterator[tuple[Event, int]]:
    """Each event and where it ends, in bytes. Raises SessionError at what is damaged."""
    count = good = 0
    previous = GENESIS
    blobs = Blobs(path.parent / "blobs")
    while good < len(content):
        end = content.find(b"\n", good) + 1
        event = parsed_line(path, content[good:end], count, previous) if end else None
        if event is None:
            if _is_torn(content[good:]):
                return
            raise SessionError(
                f"The session's log is damaged at line {count + 1}.",
                f"{path} has a record there whose checksum or place in the chain is wrong.",
                "Nothing was changed. Restore the file from a copy" + _before(path, count),
            )
        previous = event.checksum
        if b'"$blob"' in content[good:end]:
            event = event.model_copy(update={"data": blobs.whole(event.data)})
        count, good = count + 1, end
        yield event, good


def _before(path: Path, good: int) -> str:
    """How to go on from before the damage, where there is anything before it."""
    fork = f"ml-intern fork {path.parent.name} --at {good - 1}"
    return f", or go on from before the damage: {fork}" if good else "; nothing before the damage can be gone on from."


def _is_torn(tail: bytes) -> bool:
    """What a crash in the middle of the last write leaves: a line without its end, or with blocks that never reached
    the disk."""
    end = tail.find(b"\n") + 1
    return end == 0 or (end == len(tail) and b"\0" in tail)


def parsed_line(path: Path, line: bytes, seq: int, previous: str) -> Event | None:
    """As `parsed`. Raises SessionError where a newer program wrote the line."""
    try:
        return parsed(line, seq, previous)
    except NewerVersion as error:
        raise SessionError(
            "This session was written by a newer ml-intern.",
            f"{path}, line {seq + 1}: {error}",
            "Update: pip install -U ml-intern.",
        ) from None


class EventLog:
    """Open for writing; use as a context manager. Thread-safe. `clean` is given the data of each event before it is
    written, to take secrets out. `there`: the log has to be there already. Raises SessionError when another process
    holds the log."""

    def __init__(self, path: Path, clean: Callable[[Any], Any] = lambda data: data, there: bool = False) -> None:
        self.path, self._clean = path, clean
        if not there:
            make_folder(path.parent)
        self._blobs = Blobs(path.parent / "blobs")
        self._lock = threading.Lock()
        self._broken = ""
        self._begun = (-1, 0)  # the last write: how many events there were, and where the file ended, in bytes
        self._events: list[Event] = []
        try:
            self._fd = os.open(path, os.O_RDWR | (0 if there else os.O_CREAT) | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._unopened(error) from None
        try:
            self._take_lock()
            self._require_in_place()
            sync(path.parent)
            self._recover()
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    @property
    def events(self) -> Sequence[Event]:
        """All of them, the latest last; it grows with each append."""
        return self._events

    def keep(self, text: str) -> str:
        """Puts a text into a blob, cleaned as events are; returns its digest, for an event to name. Durable, too."""
        try:
            return self._blobs.put(str(self._clean(text)).encode("utf-8", "replace"))
        except OSError as error:
            raise self._unwritable(error.strerror or str(error)) from None

    def append(self, type: EventType, **data: Any) -> Event:
        """Writes one event durably before it returns. A full disk or an I/O error raises SessionError."""
        with self._lock:
            if self._broken:
                raise self._unwritable(self._broken)
            try:
                return self._append(type, self._clean(data))
            except OSError as error:
                raise self._unwritable(error.strerror or str(error)) from None

    def _append(self, type: EventType, data: Any) -> Event:
        self._drop_interrupted()
        fields: dict[str, Any] = {
            "version": VERSION,
            "seq": len(self._events),
            "type": type,
            "time": time.time(),
            "mono": time.monotonic(),
            "data": self._blobs.spilled(data),
            "previous": self._events[-1].checksum if self._events else GENESIS,
        }
        line, checksum = encoded(fields)
        event = Event.model_construct(**{**fields, "data": data, "checksum": checksum})
        self._write(line)
        self._events.append(event)  # only this makes it an event of the log: Ctrl-C comes before or after it
        return event

    def _drop_interrupted(self) -> None:
        """Takes back a line whose writing Ctrl-C broke off, whole or not: nobody has acted on it, as nobody was told
        that it is there. A process that writes nothing more leaves it, as one that is killed there does."""
        count, end = self._begun
        if count == len(self._events):
            os.ftruncate(self._fd, end)

    def _write(self, line: bytes) -> None:
        """What was half written is taken back, so that the log still ends with a whole record."""
        end = os.lseek(self._fd, 0, os.SEEK_END)
        self._begun = (len(self._events), end)
        view = memoryview(line)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            self._take_back(end)
            raise
        try:
            os.fdatasync(self._fd)
        except OSError as error:
            # After a failed flush nobody knows what the disk holds: nothing more is written until it is read again.
            self._take_back(end)
            self._broken = error.strerror or str(error)
            raise

    def _take_back(self, end: int) -> None:
        try:
            os.ftruncate(self._fd, end)
            os.fdatasync(self._fd)
        except OSError as error:
            self._broken = error.strerror or str(error)

    def _unwritable(self, why: str) -> SessionError:
        return SessionError(
            "The session's log cannot be written; nothing further was done.",
            f"{self.path}: {why}",
            "Free some disk space and resume the session.",
        )

    def _unopened(self, error: OSError) -> SessionError:
        if isinstance(error, FileNotFoundError):
            return SessionError(f"Session {self.path.parent.name} was removed.", f"{self.path} is not there any more")
        return SessionError("The session's log cannot be opened.", f"{self.path}: {error.strerror or error}")

    def _require_in_place(self) -> None:
        """Whoever removes or replaces a session holds its log meanwhile: what was waited for may be gone by now."""
        try:
            in_place = os.path.samestat(os.fstat(self._fd), self.path.stat())
        except OSError:
            in_place = False
        if not in_place:
            raise self._unopened(FileNotFoundError())

    def _take_lock(self) -> None:
        for _ in range(_TRIES):
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                time.sleep(0.02)  # whoever looks whether it is held has it for an instant
        else:
            raise SessionError(
                "This session is being written by another process.",
                f"{self.path} is locked{held_by(self.path)}.",
                "Wait for it to end, or stop it first.",
            )
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": time.time()}
        with contextlib.suppress(OSError):
            _holder(self.path).write_text(json.dumps(holder))

    def _recover(self) -> None:
        content = self.path.read_bytes()
        self._events, good = scan(self.path, content)
        if torn := content[good:]:
            write_whole(self.path.with_name(f"{self.path.name}{_ASIDE}{good}-{len(torn)}"), torn)
            os.ftruncate(self._fd, good)
            os.fdatasync(self._fd)
        # A crash between the cut and the note about it leaves the piece unmentioned: it is mentioned now.
        told = {event.data.get("aside") for event in self._events if event.type == "log.recovered"}
        for piece in sorted(self.path.parent.glob(f"{self.path.name}{_ASIDE}*")):
            if piece.name not in told:
                self.append("log.recovered", bytes=piece.stat().st_size, aside=piece.name)


def _holder(log: Path) -> Path:
    return log.with_name("holder.json")


def held_by(log: Path) -> str:
    """`` by process 12 on host`` of who has, or last had, the log open; empty where nobody knows."""
    try:
        holder = json.loads(_holder(log).read_text())
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"]))
        return f" by process {holder['pid']} on {holder['host']}, since {since}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


@contextlib.contextmanager
def held_still(log: Path) -> Iterator[None]:
    """While a session's folder is moved: nobody has its log open, and nobody opens it. Raises SessionError."""
    try:
        fd = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise SessionError(f"Session {log.parent.name} cannot be opened.", f"{log}: {error.strerror}") from None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            what = f"Session {log.parent.name} is being worked on{held_by(log)}."
            raise SessionError(what, next="Stop it first.") from None
        yield
    finally:
        os.close(fd)


def is_held(log: Path) -> bool:
    """Whether a process has the log, or the journal of a run, open for writing now."""
    try:
        fd = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(fd)
    return False
