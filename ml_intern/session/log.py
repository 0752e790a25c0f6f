"""The append-only event log: one writer under a lock, a durable write per event, a chain of checksums.

A torn tail is moved aside and noted; a damaged middle is reported and never cut. Knows nothing of what events mean.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ml_intern.errors import SessionError
from ml_intern.session.events import Event, EventType

GENESIS = "0" * 64


def read_log(path: Path) -> tuple[Event, ...]:
    """The events of a log that nobody needs to hold open; a torn last line is left out. Raises SessionError."""
    events, _ = _scan(path, path.read_bytes() if path.exists() else b"")
    return events


def _scan(path: Path, content: bytes) -> tuple[tuple[Event, ...], int]:
    """(events, number of good bytes). Bad bytes after the last good line are a torn tail; before it, damage."""
    events: list[Event] = []
    good = 0
    previous = GENESIS
    lines = content.splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        event = _parse(line, len(events), previous)
        if event is None:
            if number == len(lines):
                break
            raise SessionError(
                f"The session's log is damaged at line {number}.",
                f"{path} has a record there whose checksum or place in the chain is wrong, with records after it.",
                "Nothing was changed. Restore the file from a copy, or start a new session.",
            )
        events.append(event)
        previous = event.checksum
        good += len(line)
    return tuple(events), good


def _parse(line: bytes, seq: int, previous: str) -> Event | None:
    if not line.endswith(b"\n"):
        return None
    try:
        event = Event.model_validate_json(line)
    except (ValidationError, ValueError):
        return None
    if event.seq != seq or event.previous != previous or event.checksum != event.expected_checksum():
        return None
    return event


class EventLog:
    """Open for writing; use as a context manager. Thread-safe. Raises SessionError when another process holds it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._lock = threading.Lock()
        try:
            self._take_lock()
            content = path.read_bytes()
            self.events, good = _scan(path, content)
            if new:
                _sync_directory(path.parent)
            if good < len(content):
                self._set_aside(content[good:], good)
        except BaseException:
            os.close(self._fd)
            raise

    def __enter__(self) -> EventLog:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def append(self, type: EventType, **data: Any) -> Event:
        """Writes one event durably before it returns. A full disk or an I/O error raises SessionError."""
        with self._lock:
            fields: dict[str, Any] = {
                "version": 1,
                "seq": len(self.events),
                "type": type,
                "time": time.time(),
                "mono": time.monotonic(),
                "data": data,
                "previous": self.events[-1].checksum if self.events else GENESIS,
            }
            event = Event.model_validate({**fields, "checksum": ""})
            event = event.model_copy(update={"checksum": event.expected_checksum()})
            self._write(event.line())
            self.events = (*self.events, event)
            return event

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SessionError(
                "This session is being written by another process.",
                f"{self.path} is locked.",
                "Wait for it to end, or stop it first.",
            ) from None

    def _set_aside(self, torn: bytes, good: int) -> None:
        aside = self.path.with_name(f"{self.path.name}.torn-{int(time.time())}")
        aside.write_bytes(torn)
        os.ftruncate(self._fd, good)
        os.fdatasync(self._fd)
        self.append("log.recovered", bytes=len(torn), aside=aside.name)

    def _write(self, line: bytes) -> None:
        end = os.lseek(self._fd, 0, os.SEEK_END)
        view = memoryview(line)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
            os.fdatasync(self._fd)
        except OSError as error:
            # What was half written is taken back, so that the log still ends with a whole record.
            os.ftruncate(self._fd, end)
            raise SessionError(
                "The session's log cannot be written; nothing further was done.",
                f"{self.path}: {error.strerror}",
                "Free some disk space and resume the session.",
            ) from None


def _sync_directory(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
