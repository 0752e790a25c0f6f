"""Lines of a file that a script wrote, read so that no file and no line of it can fill this process's memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

MOST_PREDICTED = 500_000_000  # characters of all predictions of a run; whoever reads them again has the same bound


class TooLong(ValueError):
    """A line, or the whole file, is longer than anybody reads. The words say which."""


def bounded_lines(path: Path, longest: int, most: int) -> Iterator[str]:
    """Lines of at most `longest` characters, with their ends, of the first `most` characters. Raises TooLong and
    OSError; bytes that are no UTF-8 are replaced."""
    read = 0
    with path.open(encoding="utf-8", errors="replace") as file:
        for number, line in enumerate(iter(lambda: file.readline(longest + 1), ""), start=1):
            read += len(line)
            if len(line) > longest:
                raise TooLong(f"line {number} has over {longest:,} characters")
            if read > most:
                raise TooLong(f"it has over {most:,} characters")
            yield line
