"""What stands in `ID/session.json` of a repository: which files make up an uploaded session, and who works on it."""

from __future__ import annotations

import secrets
import socket
import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ml_intern.session.disk import write_whole

LEASE_SECONDS = 900.0


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Item(_Frozen):
    """A file: sha256 in hex, size in bytes."""

    sha256: str
    size: int


class Lease(_Frozen):
    """Who works on the session. `until` is seconds since the epoch; after it, another machine may take over."""

    machine: str
    host: str
    since: float
    until: float

    def is_live(self) -> bool:
        return time.time() < self.until


class Manifest(_Frozen):
    """`machine` wrote it. The log is `segments`, in order, with `events` events that end with `checksum`. `files`: path
    beneath the session to what it must be. `left_out` and `changed`: in words, what did not come along and which
    files redaction changed. `broken`: why the copy cannot go on; empty where it can."""

    version: int = 1
    session: str
    title: str = ""
    status: str = ""
    machine: str
    written: float
    events: int
    checksum: str
    segments: tuple[str, ...] = ()
    files: dict[str, Item] = {}
    left_out: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    broken: str = ""
    lease: Lease | None = None


def this_machine(home: Path) -> str:
    """A random name of this installation, made once; it says nothing about the machine."""
    path = home / "machine-id"
    if not path.exists():
        write_whole(path, secrets.token_hex(8))
    return path.read_text().strip()


def new_lease(machine: str, since: float | None = None) -> Lease:
    now = time.time()
    return Lease(machine=machine, host=socket.gethostname(), since=since or now, until=now + LEASE_SECONDS)
