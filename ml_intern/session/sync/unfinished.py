"""Training runs that have not ended, on a journey: with the checkpoint that their script keeps, where it is small.

A copy of the run's output is what leaves: the run may go on beside the upload, and half of a checkpoint is none. Knows
nothing of what a script does with its checkpoint.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_intern.session.belongings import Source
from ml_intern.session.beneath import files_in, folder_beneath
from ml_intern.session.copies import copy_file
from ml_intern.session.disk import write_whole
from ml_intern.session.events import Event
from ml_intern.session.outcomes import outcome_of
from ml_intern.session.store import SessionFolder

LARGEST = 1_000_000_000  # bytes of a run's output that travels before the run has ended
_EVERY = 1800.0  # seconds between two copies while a run goes on: each is a new large file on the Hub
_TRIES = 3
_CHECKPOINT = "checkpoint"  # beneath OUT, as the training script was told
_CAME = "came.json"  # what the run there has to have in common with the one here
_SIGNATURE = "signature.json"

Signature = dict[str, list[int]]


@dataclass(frozen=True)
class Unfinished:
    """A run that was begun and has no evidence. `files`: path beneath the session to where its content stands; empty
    where it begins again. `words`: which of the two, and why."""

    run: str
    files: Mapping[str, Source]
    words: str


def unfinished_runs(folder: SessionFolder, events: Sequence[Event], fresh: bool) -> Iterator[Unfinished]:
    """Runs that the log tells the start of and not the end. `fresh`: their checkpoints as they are now; else a copy of
    the last half hour does."""
    inputs = _begun(events)
    copies = folder.root / "parcel"
    for left in copies.iterdir() if copies.is_dir() else ():
        if left.name not in inputs:
            shutil.rmtree(left, ignore_errors=True)
    for run, hashed in sorted(inputs.items()):
        if folder.run(run).exists():
            yield _unfinished(folder, run, hashed, copies / run, fresh)


def counted(number: int, what: str) -> str:
    """`1 message`, `2 messages`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _begun(events: Sequence[Event]) -> dict[str, str]:
    """Run to the hash of what it reads; empty for a trial."""
    open_: dict[str, str] = {}
    for event in events:
        if event.type == "run.started":
            open_[event.data["run"]] = event.data.get("inputs", "")
        elif event.type in ("evidence.recorded", "run.finished"):
            open_.pop(event.data["run"], None)
    return open_


def _unfinished(folder: SessionFolder, run: str, inputs: str, copy: Path, fresh: bool) -> Unfinished:
    out = folder.run(run) / "out"
    if not inputs or not _holds_checkpoint(out) or _has_ended(folder.run(run) / "train.run"):
        return Unfinished(run, {}, "it was not finished or only a trial, and is made again where it is needed")
    size = sum(entry[0] for entry in _signature(out).values())
    if size > LARGEST:
        limit = f"{size / 1e9:.1f} GB, more than {LARGEST / 1e9:.0f} GB"
        return Unfinished(run, {}, f"it was not finished, and its checkpoint stays behind ({limit}): it begins again")
    try:
        is_there = _copied(out, copy, fresh)
    except OSError as error:
        why = error.strerror or str(error)
        return Unfinished(run, {}, f"its checkpoint could not be copied ({why}) and stays behind: it begins again")
    if not is_there:
        return Unfinished(run, {}, "its checkpoint was being written and stays behind this time")
    files: dict[str, Source] = {
        f"runs/{run}/out/{path.relative_to(copy / 'out').as_posix()}": path for path in _files(copy / "out")
    }
    files[f"runs/{run}/{_CAME}"] = json.dumps({"inputs": inputs}).encode()
    size = sum(path.stat().st_size for path in _files(copy / "out"))
    words = (
        f"not finished, with its checkpoint ({size / 1e6:.1f} MB): it goes on from there if scripts, data and packages"
    )
    return Unfinished(run, files, f"{words} are the same, and begins again if not")


def _holds_checkpoint(out: Path) -> bool:
    kept = out / _CHECKPOINT
    return not out.is_symlink() and not kept.is_symlink() and kept.is_dir() and any(kept.iterdir())


def _has_ended(journal: Path) -> bool:
    """By itself: a run that a person stopped was killed."""
    return outcome_of(journal) not in ("", "killed")


def _copied(out: Path, copy: Path, fresh: bool) -> bool:
    """Whether `copy` holds what `out` held at one moment. Raises OSError."""
    there = copy / _SIGNATURE
    if there.exists() and not fresh and time.time() - there.stat().st_mtime < _EVERY:
        return True
    for _ in range(_TRIES):
        before = _signature(out)
        if there.exists() and json.loads(there.read_bytes()) == before:
            return True
        part = copy.with_name(f".{copy.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            for name in before:
                target = part / "out" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                copy_file(out / name, target, out.parent)
        except (FileNotFoundError, NotADirectoryError):  # the script has put another in its place
            continue
        if _signature(out) == before:
            write_whole(part / _SIGNATURE, json.dumps(before))
            shutil.rmtree(copy, ignore_errors=True)
            part.rename(copy)
            return True
    shutil.rmtree(copy.with_name(f".{copy.name}.part"), ignore_errors=True)
    return there.exists()


def _signature(out: Path) -> Signature:
    """Size, time and inode of each file, by its path: what changes where somebody writes."""
    with (
        contextlib.suppress(FileNotFoundError, NotADirectoryError),
        folder_beneath(out.parent.resolve(), (out.name,)) as folder,
    ):
        return {name: [told.st_size, told.st_mtime_ns, told.st_ino] for name, told in files_in(folder)}
    return {}


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
