"""Whether what a run was only to read is as it was, for a sandbox that cannot forbid changing it. Knows nothing of why.

The kernel stamps every change with a time (ctime) that no ordinary user can set, so nothing has to be read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

State = frozenset[tuple[str, int, int, int]]  # name, device, inode, ctime in ns


def states(paths: Iterable[Path]) -> dict[Path, State]:
    """Each path and what lies below it, as it is now; links are not followed."""
    return {path: frozenset(_stamps(path)) for path in paths}


def changed(before: Mapping[Path, State]) -> list[Path]:
    """Those that are not as they were."""
    return [path for path, state in before.items() if frozenset(_stamps(path)) != state]


def _stamps(path: Path) -> Iterable[tuple[str, int, int, int]]:
    waiting = [os.fspath(path)]
    while waiting:
        name = waiting.pop()
        try:
            found = os.lstat(name)
            yield name, found.st_dev, found.st_ino, found.st_ctime_ns
            with os.scandir(name) as entries:
                waiting += [entry.path for entry in entries]
        except OSError:  # a file or a link; or it has gone, which its absence says
            continue
