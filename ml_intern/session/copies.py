"""Copies of files that a script wrote: with their holes, so that a copy takes no more of the disk than it did."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from ml_intern.session.beneath import FILE, open_beneath

_CHUNK = 1 << 20


def copy_file(source: str | Path, target: str | Path, beneath: Path | None = None) -> None:
    """The content of the regular file `source`, which is no link. `beneath`: a folder above it from which on no link is
    followed either, where a script may still be at work there. Raises OSError."""
    if beneath is None:
        reader = os.open(source, os.O_RDONLY | FILE)
    else:
        reader = open_beneath(beneath.resolve(), Path(source).relative_to(beneath).parts)
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
