"""What was tried by hand for experiments that are still being built: the commands, their output, the small files that
they left. Whoever goes on elsewhere was told of them, and numbers the next ones on from them.

Knows nothing of what a command is; none of it is evidence.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ml_intern.session.state import State
from ml_intern.session.store import SessionFolder

_BENCH = "bench"
_LARGEST = 4_000_000  # bytes of a file
_ALL, _MOST = 20_000_000, 1_000  # bytes and files of an experiment
_ORDER = ("programs", "logs", "scratch", "background")  # what is of most use first: programs give the numbers


@dataclass(frozen=True)
class Tried:
    """`files`: path beneath the session to where it stands. `left`: in words, what is too much to come along."""

    files: dict[str, Path]
    left: tuple[str, ...]


def tried(folder: SessionFolder, state: State, before: float = float("inf")) -> Tried:
    """For a session in `state`. `before`: what has changed since then, in seconds since the epoch, is passed over."""
    files: dict[str, Path] = {}
    left: list[str] = []
    for bench in _folders(folder.root / _BENCH):
        if bench.name in state.built or bench.name in state.blocked:
            continue
        size = number = rest = lost = 0
        for path, told in sorted(_files(bench), key=lambda one: _rank(bench, *one)):
            if told.st_mtime > before:
                continue
            if told.st_size > _LARGEST or size + told.st_size > _ALL or number == _MOST:
                rest, lost = rest + 1, lost + told.st_size
                continue
            size, number = size + told.st_size, number + 1
            files[path.relative_to(folder.root).as_posix()] = path
        if rest:
            left.append(f"of what commands wrote while {bench.name} was being built: {rest} files, {lost / 1e6:.1f} MB")
    return Tried(files, tuple(left))


def copy_tried(found: Tried, to: Path) -> dict[str, Path]:
    """Copies beneath `to`, under the same names: commands go on while a copy is read. One that fits its file already
    stays as it is, one that has none goes. Gives path beneath the session to the copy."""
    copies: dict[str, Path] = {}
    for name, path in found.files.items():
        copy = to / name
        with contextlib.suppress(OSError):  # it has gone meanwhile, or is something else now
            told = path.lstat()
            if not copy.exists() or _stamp(copy.stat()) != _stamp(told):
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.unlink(missing_ok=True)
                copy.write_bytes(_content(path))
                os.utime(copy, ns=(told.st_atime_ns, told.st_mtime_ns))
            copies[name] = copy
    for path, _ in _files(to / _BENCH):
        if path not in copies.values():
            path.unlink(missing_ok=True)
    return copies


def _rank(bench: Path, path: Path, told: os.stat_result) -> tuple[int, int, str]:
    top = path.relative_to(bench).parts[0]
    return (_ORDER.index(top) if top in _ORDER else len(_ORDER), told.st_size, str(path))


def _stamp(told: os.stat_result) -> tuple[int, int]:
    return told.st_size, told.st_mtime_ns


def _content(path: Path) -> bytes:
    """What a script puts a link in the place of is not read. Raises OSError."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        return file.read(_LARGEST)


def _folders(place: Path) -> list[Path]:
    return sorted(path for path in place.iterdir() if path.is_dir() and not path.is_symlink()) if place.is_dir() else []


def _files(place: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for path in place.rglob("*"):
        with contextlib.suppress(OSError):
            told = path.lstat()
            if stat.S_ISREG(told.st_mode) and path.suffix != ".part" and "__pycache__" not in path.parts:
                yield path, told
