"""What belongs to a session at a moment of its log: the files that its events speak of, and nothing else.

Half-done runs, temporary files and what can be made again from the rest stay out. Scripts that are being written are
taken as the log knows them, so that they fit it to the event, whatever has happened on disk since.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from ml_intern.errors import SessionError
from ml_intern.session.events import Event
from ml_intern.session.state import fold
from ml_intern.session.store import SessionFolder
from ml_intern.session.tables import witness

Source = Path | bytes
_DERIVED = ("cwd", "predict", "views", "checkpoint")  # folders: made again, or of no use to anybody else


def belongings(folder: SessionFolder, events: Sequence[Event]) -> Iterator[tuple[str, Source]]:
    """(path beneath the session, its content or where that stands). The log and its blobs are not among them. Raises
    SessionError where evidence that the log tells of is missing."""
    yield from made_files(folder, events)
    for name, digest in scripts_at(events).items():
        yield f"workspace/{name}", folder.blobs.get(digest)


def made_files(folder: SessionFolder, events: Sequence[Event]) -> Iterator[tuple[str, Source]]:
    """The same without the scripts that are being written: all that was made, and is not in the log's blobs."""
    state = fold(events)
    yield from _files(folder, folder.root / "source")
    yield from _files(folder, folder.paper if state.title else None, folder.plan if state.drafted else None)
    for experiment in state.built:
        yield from _files(folder, folder.frozen(experiment))
    if state.plan:
        yield from _data(folder, events)
    yield from _evidence(folder, events)


def scripts_at(events: Iterable[Event]) -> dict[str, str]:
    """`EXPERIMENT/PATH` to sha256 of the scripts as the last call left them; each is a blob."""
    files: dict[str, str] = {}
    for event in events:
        if changed := event.data.get("files") if event.type == "tool.result" else None:
            experiments = {name.split("/")[0] for name in changed}
            files = {name: one for name, one in files.items() if name.split("/")[0] not in experiments} | changed
    for name in files:
        if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
            raise SessionError("The session's log names a file outside its workspace.", name)
    return files


def half_made(folder: SessionFolder, events: Iterable[Event]) -> list[Path]:
    """Folders of tables that data.py is still writing, or was broken off in: it makes them again."""
    last = {event.data["experiment"]: event.time for event in events if event.type == "evidence.recorded"}
    made = [path for path in sorted(folder.root.glob("data/*/*")) if path.is_dir() and path.name not in _DERIVED]
    return [path for path in made if not _has_witness(path, last.get(path.parent.name, -1.0))]


def _has_witness(made: Path, last: float) -> bool:
    """`last`: when evidence of its experiment was recorded; it may rest on a table whose data.py had begun by then."""
    journal = made / "data.run"
    began = journal.stat().st_mtime if journal.exists() else 0.0
    return witness(made, journal, lambda: ("evidence",) if began <= last else ()).vouches


def _data(folder: SessionFolder, events: Iterable[Event]) -> Iterator[tuple[str, Source]]:
    left = {path.relative_to(folder.root).as_posix() for path in half_made(folder, events)}
    for name, source in _files(folder, folder.root / "data"):
        if "/".join(name.split("/")[:3]) not in left:
            yield name, source


def _evidence(folder: SessionFolder, events: Sequence[Event]) -> Iterator[tuple[str, Source]]:
    """The ledger as far as the events tell of it (it is written in their order), and what its records name."""
    told = sum(event.type == "evidence.recorded" for event in events)
    lines = folder.ledger.read_bytes().splitlines(keepends=True)[:told] if told and folder.ledger.exists() else []
    if len(lines) < told:
        raise SessionError(
            f"The evidence of session {folder.id} is not all there.",
            f"its log tells of {told} runs, {folder.ledger.name} of {len(lines)}",
        )
    for line in lines:
        record: dict[str, Any] = json.loads(line)["evidence"]
        yield from _files(folder, folder.run(record["run_id"]))
        named = [*record.get("predictions", {}).values(), *record.get("labels", {}).values()]
        yield from _files(folder, *(folder.predictions / name for name, _ in named))
    if lines:
        yield folder.ledger.name, b"".join(lines)


def _files(folder: SessionFolder, *places: Path | None) -> Iterator[tuple[str, Source]]:
    for place in places:
        if place is None:
            continue
        if not place.is_relative_to(folder.root) or ".." in place.relative_to(folder.root).parts:
            # Log and ledger may have come from anybody: what they name is not fetched from elsewhere on this machine.
            raise SessionError(f"Session {folder.id} names a file outside itself.", str(place))
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            inside = path.relative_to(folder.root)
            if path.is_file() and not path.is_symlink() and _travels(inside):
                yield inside.as_posix(), path


def _travels(path: Path) -> bool:
    if path.suffix in (".run", ".part") or "__pycache__" in path.parts:
        return False
    return path.parts[0] not in ("runs", "data") or not any(part in _DERIVED for part in path.parts[2:])
