"""Files beneath one folder, opened step by step from that folder's descriptor: no link is followed, whoever plants one
and whenever. Knows nothing of sessions, and has no words for what goes wrong."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not hang whoever opens it
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEPEST = 100  # folders in one another


@contextlib.contextmanager
def folder_beneath(root: Path, parts: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """A descriptor of the folder `parts` beneath `root`; neither may be a link. Raises OSError with the path that it
    did not come beyond."""
    here = os.open(root, _FOLDER)
    try:
        for number, part in enumerate(parts, 1):
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=here)
            try:
                inner = os.open(part, _FOLDER, dir_fd=here)
            except OSError as error:
                raise OSError(error.errno, error.strerror, str(root.joinpath(*parts[:number]))) from None
            os.close(here)
            here = inner
        yield here
    finally:
        os.close(here)


def open_beneath(root: Path, parts: Sequence[str]) -> int:
    """A descriptor to read the file `parts` beneath `root`. Raises OSError."""
    *folders, name = parts
    with folder_beneath(root, folders) as parent:
        return os.open(name, os.O_RDONLY | FILE, dir_fd=parent)


def files_in(folder: int, place: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Path and state of each regular file beneath an open folder. What goes meanwhile is passed over, and so is what
    lies deeper than any program needs. `place`: put before the paths, with its slash."""
    # Not os.fwalk: it would wait for ever for a pipe that has taken a folder's place.
    for name in sorted(os.listdir(folder)):
        with contextlib.suppress(OSError):
            told = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISREG(told.st_mode):
                yield f"{place}{name}", told
            elif stat.S_ISDIR(told.st_mode) and place.count("/") < _DEEPEST:
                inner = os.open(name, _FOLDER, dir_fd=folder)
                try:
                    yield from files_in(inner, f"{place}{name}/")
                finally:
                    os.close(inner)
