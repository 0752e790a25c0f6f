"""A new session that goes on from an earlier moment of another, which stays as it is.

What the log's events up to that moment speak of comes along; scripts that were being written are put back as they were.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ml_intern.errors import InputError, SessionError
from ml_intern.session.blobs import Blobs, named_in
from ml_intern.session.disk import sync_tree, write_whole
from ml_intern.session.events import GENESIS, Event, parsed
from ml_intern.session.log import EventLog
from ml_intern.session.state import State, fold
from ml_intern.session.store import SessionFolder, SessionStore


def fork(store: SessionStore, origin: SessionFolder, at: int | None) -> SessionFolder:
    """`at`: the last event that is kept; None: all that is good. Raises InputError, SessionError."""
    lines, events = _prefix(origin.log, at)
    whole = [event.model_copy(update={"data": origin.blobs.whole(event.data)}) for event in events]
    folder = store.create()
    try:
        _copy_blobs(origin.blobs, folder.blobs, events)
        _copy_files(origin, folder, whole)
        _write_scripts(folder, whole)
        sync_tree(folder.root)
        write_whole(folder.log, b"".join(lines))
        with EventLog(folder.log) as log:
            log.append("session.forked", origin=origin.id, seq=len(events) - 1)
    except BaseException:
        shutil.rmtree(folder.root, ignore_errors=True)
        raise
    return folder


def _prefix(path: Path, at: int | None) -> tuple[list[bytes], list[Event]]:
    lines: list[bytes] = []
    events: list[Event] = []
    for line in path.read_bytes().split(b"\n")[:-1]:
        event = parsed(line + b"\n", len(events), events[-1].checksum if events else GENESIS)
        if event is None or (at is not None and event.seq > at):
            break
        lines.append(line + b"\n")
        events.append(event)
    if not events or (at is not None and events[-1].seq != at):
        last = f"its last good event is {len(events) - 1}" if events else "its log has no good event"
        raise InputError(
            f"Session {path.parent.name} has no event {at}.", last, "`ml-intern sessions show` lists them."
        )
    return lines, events


def _copy_blobs(source: Blobs, target: Blobs, events: Iterable[Event]) -> None:
    for event in events:
        for digest in named_in(event.data) | set((event.data.get("files") or {}).values()):
            if source.holds(digest):
                target.put(source.get(digest))


def _copy_files(origin: SessionFolder, folder: SessionFolder, events: list[Event]) -> None:
    state = fold(events)
    _copy(origin.root / "source", folder.root / "source")
    if state.title:
        _copy(origin.paper, folder.paper)
    if state.drafted:
        _copy(origin.plan, folder.plan)
    for experiment in state.built:
        _copy(origin.frozen(experiment), folder.frozen(experiment))
    if state.plan:
        _copy(origin.root / "data", folder.root / "data")
    _copy_evidence(origin, folder, state, events)


def _copy_evidence(origin: SessionFolder, folder: SessionFolder, state: State, events: list[Event]) -> None:
    """The ledger as far as the events tell of it: it is written in their order."""
    told = {event.data["run"] for event in events if event.type == "evidence.recorded"}
    kept: list[bytes] = []
    for line in origin.ledger.read_bytes().splitlines(keepends=True) if told and origin.ledger.exists() else []:
        record: dict[str, Any] = json.loads(line)["evidence"]
        if record["run_id"] not in told:
            break
        kept.append(line)
        _copy(origin.run(record["run_id"]), folder.run(record["run_id"]))
        for name, _ in [*record["predictions"].values(), *record["labels"].values()]:
            _copy(origin.predictions / name, folder.predictions / name)
    if len(kept) < state.runs:
        raise SessionError(
            f"The evidence of session {origin.id} is not all there.",
            f"its log tells of {state.runs} runs, {origin.ledger.name} of {len(kept)} of them",
            "Fork from an earlier event.",
        )
    if kept:
        write_whole(folder.ledger, b"".join(kept))


def _write_scripts(folder: SessionFolder, events: list[Event]) -> None:
    """The workspace as the last call before the fork left it."""
    files: dict[str, str] = {}
    for event in events:
        if changed := event.data.get("files") if event.type == "tool.result" else None:
            experiments = {name.split("/")[0] for name in changed}
            files = {name: one for name, one in files.items() if name.split("/")[0] not in experiments} | changed
    for name, digest in files.items():
        target = folder.root / "workspace" / name
        if not target.resolve().is_relative_to((folder.root / "workspace").resolve()):
            raise SessionError("The session's log names a file outside its workspace.", name)
        write_whole(target, folder.blobs.get(digest))


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
