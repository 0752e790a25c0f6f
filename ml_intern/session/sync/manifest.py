"""What stands in `ID/session.json` of a repository: which files make up an uploaded session, and who works on it."""

from __future__ import annotations

import re
import secrets
import socket
import time
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ml_intern.session.disk import write_whole

LEASE_SECONDS = 900.0
SESSION_ID = r"[0-9]{8}-[0-9]{6}-[0-9a-f]{4}"  # as `SessionStore.create` names them: sorted, the newest is the last
_SHA256 = r"^[0-9a-f]{64}$"
# The places that a session has beneath it, and that an upload may fill.
_TOP = ("source", "paper.json", "plan.yaml", "frozen", "data", "evidence.jsonl", "runs", "predictions", "workspace",
        "blobs", "inbox", "bench")  # fmt: skip


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Item(_Frozen):
    """A file: sha256 in hex, size in bytes."""

    sha256: str = Field(pattern=_SHA256)
    size: int = Field(ge=0)


class Lease(_Frozen):
    """Who works on the session. `until` is seconds since the epoch; after it, another machine may take over."""

    machine: str
    host: str
    since: float
    until: float

    def is_live(self) -> bool:
        """A lease that claims more time than any is given comes from a wrong clock, and binds nobody for ever."""
        return 0 < self.until - time.time() <= 2 * LEASE_SECONDS


class Manifest(_Frozen):
    """`machine` wrote it. The log is `segments`, in order, with `events` events that end with `checksum`. `files`: path
    beneath the session to what it must be. In words: `left_out`, what stayed behind, and `along`, what came though it
    is not finished. `changed`: files that redaction changed. `broken`: why the copy cannot go on; empty where it can.

    Anybody may have written it: no name in it leads out of the session's own folder."""

    version: int = 1
    session: str = Field(pattern=f"^{SESSION_ID}$")
    title: str = ""
    status: str = ""
    machine: str
    written: float
    events: int = Field(ge=1)
    checksum: str = Field(pattern=_SHA256)
    segments: tuple[str, ...] = ()
    files: dict[str, Item] = {}
    left_out: tuple[str, ...] = ()
    along: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    broken: str = ""
    lease: Lease | None = None

    @field_validator("segments")
    @classmethod
    def _segments_of_a_log(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        odd = [name for name in names if not re.fullmatch(r"log/[0-9]{8,}-[0-9]{8,}\.jsonl", name)]
        if odd or len(set(names)) != len(names):
            raise ValueError(f"these are no segments of a log, each once: {(odd or names)[:3]}")
        return names

    @field_validator("files")
    @classmethod
    def _files_of_a_session(cls, files: dict[str, Item]) -> dict[str, Item]:
        if odd := [name for name in files if not _is_inside(name)]:
            raise ValueError(f"these are no files of a session: {odd[:3]}")
        if both := sorted(set(files) & {str(above) for name in files for above in PurePosixPath(name).parents}):
            raise ValueError(f"these are files and folders at once: {both[:3]}")
        return files


def _is_inside(name: str) -> bool:
    first, *parts = name.split("/")
    return (
        first == "files" and bool(parts) and parts[0] in _TOP and not {"", ".", ".."} & set(parts) and "\0" not in name
    )


def this_machine(home: Path) -> str:
    """A random name of this installation, made once; it says nothing about the machine."""
    path = home / "machine-id"
    if not path.exists():
        write_whole(path, secrets.token_hex(8))
    return path.read_text().strip()


def new_lease(machine: str, since: float | None = None) -> Lease:
    now = time.time()
    return Lease(machine=machine, host=socket.gethostname(), since=since or now, until=now + LEASE_SECONDS)
