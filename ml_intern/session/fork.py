"""A new session that goes on from an earlier moment of another, which stays as it is.

What the log's events up to that moment speak of comes along, with what was tried by hand until then; scripts that were
being written are put back as they were.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterable
from pathlib import Path

from ml_intern.errors import InputError, SessionError
from ml_intern.session.belongings import belongings
from ml_intern.session.blobs import Blobs, named_in
from ml_intern.session.copies import copy_file
from ml_intern.session.disk import sync, sync_tree, write_whole
from ml_intern.session.events import GENESIS, Event
from ml_intern.session.log import EventLog, parsed_line
from ml_intern.session.state import fold
from ml_intern.session.store import SessionFolder, SessionStore
from ml_intern.session.tried import copy_tried, tried


def fork(store: SessionStore, origin: SessionFolder, at: int | None) -> SessionFolder:
    """`at`: the last event that is kept; None: all that is good. Raises InputError, SessionError."""
    lines, events = _prefix(origin.log, at)
    whole = [event.model_copy(update={"data": origin.blobs.whole(event.data)}) for event in events]
    folder = store.create(".forking-")
    try:
        _copy_blobs(origin.blobs, folder.blobs, events)
        for name, source in belongings(origin, whole):
            _put(source, folder.root / name, origin)
        # What was tried by hand cannot be put back as it was: only what is still so comes along.
        by_hand = tried(origin, fold(whole), float("inf") if at is None else events[-1].time)
        copy_tried(by_hand, origin, folder.root)
        sync_tree(folder.root)
        write_whole(folder.log, b"".join(lines))
        with EventLog(folder.log) as log:
            _keep_strange(origin, len(events), log)
            log.append("session.forked", origin=origin.id, seq=len(events) - 1, left_out=list(by_hand.left))
        (folder.root / "holder.json").unlink(missing_ok=True)
        done = SessionFolder(store.root / folder.id.removeprefix(".forking-"))
        folder.root.rename(done.root)
        sync(store.root)
    except BaseException:
        shutil.rmtree(folder.root, ignore_errors=True)
        raise
    return done


def _keep_strange(origin: SessionFolder, kept: int, log: EventLog) -> None:
    """That a session came from elsewhere is said in its log where it arrived; a fork at an earlier event came from
    there no less."""
    with contextlib.suppress(SessionError):
        for event in origin.events()[kept:]:
            if event.type == "session.fetched":
                log.append("session.fetched", **event.data)
                return


def _prefix(path: Path, at: int | None) -> tuple[list[bytes], list[Event]]:
    lines: list[bytes] = []
    events: list[Event] = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        event = parsed_line(path, line + b"\n", len(events), events[-1].checksum if events else GENESIS)
        if event is None or (at is not None and event.seq > at):
            break
        lines.append(line + b"\n")
        events.append(event)
    if not events or (at is not None and events[-1].seq != at):
        last = f"its last good event is {len(events) - 1}" if events else "its log has no good event"
        raise InputError(
            f"Session {path.parent.name} has no event {at}.",
            last,
            f"`ml-intern sessions show {path.parent.name} --events` lists them.",
        )
    return lines, events


def _copy_blobs(source: Blobs, target: Blobs, events: Iterable[Event]) -> None:
    for event in events:
        kept = {event.data["digest"]} if event.type == "output.kept" else set()
        for digest in named_in(event.data) | set((event.data.get("files") or {}).values()) | kept:
            if source.holds(digest):
                target.put(source.get(digest))


def _put(source: Path | bytes, target: Path, origin: SessionFolder) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(source, bytes):
        target.write_bytes(source)
    else:
        copy_file(source, target, origin.root)
