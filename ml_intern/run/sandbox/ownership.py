"""Hands a run's own folders to the user that it runs as, and takes them back. Follows no link, leaves no set-id bit.

Knows nothing of sandboxes. To be called only while nothing runs in the folders.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

NOBODY = 65534  # user and group
_DEEPEST = 200  # folders in folders; what lies deeper keeps its owner


def hand_over(folder: Path, uid: int, gid: int, but: Iterable[Path] = ()) -> None:
    """Makes `folder` and what is in it, without the folders `but`, belong to `uid` and `gid` (as root only)."""
    _own(folder, uid, gid, {os.fspath(path) for path in but})


def make_readable(path: Path) -> None:
    """Lets everybody read `path` and what is in it, as far as its owner may; links are left alone."""
    with contextlib.suppress(FileNotFoundError):
        _let_read(path, path.lstat())
    for parent, name, found in _entries(path):
        _let_read(name, found, parent)


def take_back(folder: Path) -> None:
    """What a run left behind: as root, owned by root; for anybody, readable and deletable by the caller."""
    root = os.geteuid() == 0
    if root:
        _own(folder, 0, os.getegid(), set())
        return
    for parent, name, found in _entries(folder, opening=_let_owner_in):
        if stat.S_ISREG(found.st_mode) and found.st_mode & 0o6600 != 0o600:
            _set_mode(name, stat.S_IMODE(found.st_mode) & 0o777 | 0o600, parent)


def _own(folder: Path, uid: int, gid: int, but: set[str]) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.chown(folder, uid, gid, follow_symlinks=False)
    for parent, name, found in _entries(folder, but):
        with contextlib.suppress(FileNotFoundError):
            os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)
        if stat.S_ISREG(found.st_mode) and found.st_mode & 0o6000:
            _set_mode(name, stat.S_IMODE(found.st_mode) & 0o777, parent)


def _let_read(name: str | Path, found: os.stat_result, parent: int | None = None) -> None:
    mode = stat.S_IMODE(found.st_mode)
    wanted = mode | (mode & 0o500) >> 3 | (mode & 0o500) >> 6
    if (stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode)) and wanted != mode:
        _set_mode(name, wanted, parent)


def _set_mode(name: str | Path, mode: int, parent: int | None) -> None:
    """chmod that follows no link, not even one that was put there an instant ago."""
    with contextlib.suppress(FileNotFoundError):
        handle = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
        try:
            if not stat.S_ISLNK(os.fstat(handle).st_mode):
                Path(f"/proc/self/fd/{handle}").chmod(mode)
        finally:
            os.close(handle)


def _let_owner_in(name: str, found: os.stat_result, parent: int) -> None:
    if found.st_mode & 0o700 != 0o700:
        _set_mode(name, stat.S_IMODE(found.st_mode) | 0o700, parent)


def _entries(
    folder: Path, but: set[str] | None = None, opening: Callable[[str, os.stat_result, int], None] | None = None
) -> Iterator[tuple[int, str, os.stat_result]]:
    """(open parent folder, name, lstat) of everything below `folder`. `opening` is called before a folder is opened."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        stack = [(os.open(folder, flags), os.fspath(folder))]
    except OSError:
        return
    waiting: list[list[tuple[str, os.stat_result]]] = [_listed(stack[0][0])]
    try:
        while stack:
            parent, path = stack[-1]
            if not waiting[-1]:
                os.close(stack.pop()[0])
                waiting.pop()
                continue
            name, found = waiting[-1].pop()
            inner = f"{path}/{name}"
            if but and inner in but:
                continue
            yield parent, name, found
            if stat.S_ISDIR(found.st_mode) and len(stack) < _DEEPEST:
                with contextlib.suppress(OSError):
                    if opening is not None:
                        opening(name, found, parent)
                    child = os.open(name, flags, dir_fd=parent)
                    stack.append((child, inner))
                    waiting.append(_listed(child))
    finally:
        for entry in stack:
            os.close(entry[0])


def _listed(folder: int) -> list[tuple[str, os.stat_result]]:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                found.append((entry.name, entry.stat(follow_symlinks=False)))
    return found
