"""Copies of files that a script wrote: with their holes, so that a copy takes no more of the disk than it did."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

_CHUNK = 1 << 20


def copy_file(source: str | Path, target: str | Path) -> None:
    """The content of the regular file `source`, which is no link. Raises OSError."""
    reader = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        about = os.fstat(reader)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(source))
        with Path(target).open("wb") as copy:
            for place, end in _filled(reader, about.st_size):
                copy.seek(place)
                while place < end and (chunk := os.pread(reader, min(_CHUNK, end - place), place)):
                    copy.write(chunk)
                    place += len(chunk)
            copy.truncate(about.st_size)
    finally:
        os.close(reader)


def _filled(file: int, size: int) -> Iterator[tuple[int, int]]:
    """(begin, end) of what is written in a file; between lie holes."""
    place = 0
    while place < size:
        try:
            begin = os.lseek(file, place, os.SEEK_DATA)
            place = os.lseek(file, begin, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:  # a file system that knows of no holes
                yield place, size
            return
        yield begin, place
