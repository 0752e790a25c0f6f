"""A session packed for a journey: every file with its hash, secrets taken out, and in words what stays behind."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from ml_intern.redaction import Finding, Redactor
from ml_intern.session.belongings import Source, belongings
from ml_intern.session.events import Event
from ml_intern.session.state import State, fold
from ml_intern.session.store import SessionFolder
from ml_intern.session.sync.manifest import Item
from ml_intern.session.sync.outgoing import OutgoingLog

_LARGEST_TEXT = 20_000_000  # bytes; above it a file counts as binary
_CHUNK = 8_000_000
_OVERLAP = 8_192  # bytes that two chunks share, so that nothing is hidden by a cut
_HASHED = ("evidence.jsonl", "plan.yaml", "frozen/", "predictions/")  # what a resume checks the hash of


@dataclass(frozen=True)
class Packed:
    """A file that leaves: its name there, its content or where that stands."""

    path: str
    source: Source
    item: Item


@dataclass
class Parcel:
    """`files` by path; `found`: (file, finding) of what was taken out; `withheld`: files that stay here for a secret
    that cannot be cut out; `left_out`: in words, what does not travel; `broken`: why the copy could not go on."""

    state: State
    log: OutgoingLog
    files: dict[str, Packed] = field(default_factory=dict)
    found: list[tuple[str, Finding]] = field(default_factory=list)
    withheld: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    broken: str = ""

    @property
    def bytes(self) -> int:
        return sum(file.item.size for file in self.files.values())


def pack(folder: SessionFolder, events: Sequence[Event], redactor: Redactor, log: OutgoingLog) -> Parcel:
    """The session as it was at the last of `events`. Raises SessionError where a part of it is missing."""
    log.advance(events)
    parcel = Parcel(fold(events), log)
    parcel.found += [(f"events.jsonl, event {seq}", finding) for seq, finding in log.findings]
    for digest, content in log.blobs.items():
        _add(parcel, f"blobs/{digest}", content)
    for path, source in belongings(folder, events):
        if path.startswith("workspace/") and isinstance(source, bytes):
            script = path.removeprefix("workspace/")
            _add(parcel, f"workspace/{log.name(script)}", log.script(hashlib.sha256(source).hexdigest()))
        else:
            _add_clean(parcel, redactor, path, source)
    parcel.left_out += list(_left_out(folder, parcel.state, events))
    return parcel


def _add(parcel: Parcel, path: str, source: Source) -> None:
    parcel.files[path] = Packed(path, source, item_of(source))


def _add_clean(parcel: Parcel, redactor: Redactor, path: str, source: Source) -> None:
    """The file without its secrets; or not at all."""
    name, in_name = redactor.text(path, guess=True)
    parcel.found += [(name, finding) for finding in in_name]
    text = _text_of(source)
    if text is None:
        if found := list(_in_binary(redactor, source)):
            parcel.withheld.append(name)
            parcel.found += [(name, finding) for finding in found]
            _mark_broken(parcel, name, "is withheld: it holds a secret that cannot be cut out")
            return
        _add(parcel, name, source)
    else:
        clean, found_in_text = redactor.text(text, guess=True)
        parcel.found += [(name, finding) for finding in found_in_text]
        if found_in_text:
            _mark_broken(parcel, name, "was changed: a secret was taken out of it")
        _add(parcel, name, clean.encode() if found_in_text else source)
    if in_name:
        _mark_broken(parcel, name, "was renamed: its name held a secret")


def _mark_broken(parcel: Parcel, path: str, why: str) -> None:
    if path.startswith(_HASHED) and not parcel.broken:
        parcel.broken = f"{path} {why}"


def _text_of(source: Source) -> str | None:
    """None for what is no text, or too long to be treated as one."""
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size > _LARGEST_TEXT:
        return None
    content = source if isinstance(source, bytes) else source.read_bytes()
    if b"\0" in content:
        return None
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _in_binary(redactor: Redactor, source: Source) -> Iterator[Finding]:
    if isinstance(source, bytes):
        yield from redactor.in_bytes(source)
        return
    with source.open("rb") as file:
        yield from _in_chunks(redactor, file)
    if source.suffix == ".gz":
        # Predictions are kept compressed: looked through up to a limit, since what unpacks has no bound of its own.
        with contextlib.suppress(OSError, EOFError, zlib.error), gzip.open(source) as unpacked:
            yield from redactor.in_bytes(unpacked.read(_LARGEST_TEXT))


def _in_chunks(redactor: Redactor, file: BinaryIO) -> Iterator[Finding]:
    tail = b""
    while chunk := file.read(_CHUNK):
        yield from redactor.in_bytes(tail + chunk)
        tail = chunk[-_OVERLAP:]


def item_of(source: Source) -> Item:
    if isinstance(source, bytes):
        return Item(sha256=hashlib.sha256(source).hexdigest(), size=len(source))
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Item(sha256=digest, size=source.stat().st_size)


def _left_out(folder: SessionFolder, state: State, events: Sequence[Event]) -> Iterator[str]:
    recorded = {event.data["run"] for event in events if event.type == "evidence.recorded"}
    begun = {event.data["run"] for event in events if event.type == "run.started"}
    for run in sorted(begun - recorded):
        if folder.run(run).exists():
            yield f"run {run}: it was not finished or only a trial, and is made again where it is needed"
    if (folder.root / "resources").exists():
        yield "models, data sets and packages: fetched again at their revisions"
    if state.published:
        yield f"what was published to {state.published}"
