"""What was tried by hand for experiments that are still being built: the commands, their output, the small files that
they left. Whoever goes on elsewhere was told of them, and numbers the next ones on from them.

Knows nothing of what a command is; none of it is evidence.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ml_intern.session.beneath import files_in, folder_beneath, open_beneath
from ml_intern.session.state import State
from ml_intern.session.store import SessionFolder

_BENCH = "bench"
_LARGEST = 4_000_000  # bytes of a file
_ALL, _MOST = 20_000_000, 1_000  # bytes and files of an experiment
_ORDER = ("programs", "logs", "scratch", "background")  # what is of most use first: programs give the numbers


@dataclass(frozen=True)
class Tried:
    """`files`: paths beneath the session. `left`: in words, what is too much to come along."""

    files: tuple[str, ...]
    left: tuple[str, ...]


def tried(folder: SessionFolder, state: State, before: float = float("inf")) -> Tried:
    """For a session in `state`. `before`: what has changed since then, in seconds since the epoch, is passed over."""
    files: list[str] = []
    left: list[str] = []
    for name in _benches(folder):
        if name in state.built or name in state.blocked:
            continue
        size = number = rest = lost = 0
        for path, told in sorted(_files(folder.bench(name)), key=lambda one: _rank(*one)):
            if told.st_mtime > before:
                continue
            if told.st_size > _LARGEST or size + told.st_size > _ALL or number == _MOST:
                rest, lost = rest + 1, lost + told.st_size
                continue
            size, number = size + told.st_size, number + 1
            files.append(f"{_BENCH}/{name}/{path}")
        if rest:
            left.append(f"of what commands wrote while {name} was being built: {rest} files, {lost / 1e6:.1f} MB")
    return Tried(tuple(files), tuple(left))


def read_tried(found: Tried, folder: SessionFolder) -> Iterator[tuple[str, bytes, os.stat_result]]:
    """(path, content, state) of each, read once: commands go on meanwhile. What has gone, or is something else now, is
    passed over."""
    for name in found.files:
        with contextlib.suppress(OSError):
            yield name, *_content(folder.root, name)


def copy_tried(found: Tried, folder: SessionFolder, to: Path) -> None:
    """Copies beneath `to`, under the same names and of the same age. Raises OSError where they cannot be written."""
    for name, content, told in read_tried(found, folder):
        copy = to / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(content)
        os.utime(copy, ns=(told.st_atime_ns, told.st_mtime_ns))


def _rank(path: str, told: os.stat_result) -> tuple[int, int, str]:
    top = path.split("/")[0]
    return (_ORDER.index(top) if top in _ORDER else len(_ORDER), told.st_size, path)


def _content(root: Path, name: str) -> tuple[bytes, os.stat_result]:
    """What a script puts in the place of the file or of a folder above it is not read. Raises OSError."""
    with os.fdopen(open_beneath(root.resolve(), name.split("/")), "rb") as file:
        told = os.fstat(file.fileno())
        if not stat.S_ISREG(told.st_mode):
            raise OSError(errno.EINVAL, "is no regular file", name)
        return file.read(_LARGEST), told


def _benches(folder: SessionFolder) -> list[str]:
    place = folder.root / _BENCH
    return sorted(path.name for path in place.iterdir()) if place.is_dir() else []


def _files(bench: Path) -> list[tuple[str, os.stat_result]]:
    """By path beneath the bench."""
    try:
        with folder_beneath(bench.parent.resolve(), (bench.name,)) as top:
            found = list(files_in(top))
    except OSError:  # no folder, or not any more
        return []
    return [one for one in found if not one[0].endswith(".part") and "__pycache__" not in one[0].split("/")]
