"""What a tool answered beyond what was shown of it: by lines, or the lines that hold some words. Untrusted material."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from ml_intern.tools.bench import Bench
from ml_intern.tools.outputs import READER
from ml_intern.tools.registry import Tool, fenced

_MOST = 8_000  # characters of one answer
_HITS, _AROUND = 25, 120  # lines that hold the words; characters about them


class _Read(BaseModel):
    model_config = ConfigDict(extra="forbid")

    id: int = Field(ge=1, description="as it stands where the text was cut")
    first_line: int = Field(default=1, ge=1)
    lines: int = Field(default=200, ge=1, le=2000)
    offset: int = Field(default=0, ge=0, description="characters of the first line to pass over")
    words: str = Field(default="", max_length=1000, description="only the lines that hold exactly these")


def tools(bench: Bench) -> list[Tool]:
    def read_output(given: _Read) -> str:
        lines = bench.outputs.whole(given.id).split("\n")
        found = _holding(lines, given) if given.words else _part(lines, given)
        return fenced("output", found)

    told = "All of an output that was cut or folded away, by lines or by words."
    return [Tool(READER, told, "read-only", _Read, read_output)]


def _part(lines: Sequence[str], given: _Read) -> str:
    """At most _MOST characters from where it was asked for, and where it goes on."""
    if given.first_line > len(lines):
        return f"(it has {len(lines)} lines)"
    shown: list[str] = []
    room, skipped = _MOST, given.offset
    for number in range(given.first_line, min(given.first_line + given.lines, len(lines) + 1)):
        line = lines[number - 1][skipped:]
        if len(line) >= room:
            return "\n".join([*shown, line[:room], f"… goes on: first_line {number}, offset {skipped + room} …"])
        shown.append(line)
        room, skipped = room - len(line) - 1, 0
    rest = len(lines) - number
    return "\n".join([*shown, *([f"… {rest} more lines, from first_line {number + 1} …"] if rest else [])])


def _holding(lines: Sequence[str], given: _Read) -> str:
    """`NUMBER: …words…` of each line from the first one asked for."""
    hits = [number for number, line in enumerate(lines, start=1) if given.words in line and number >= given.first_line]
    shown = [f"{number}: {_around(lines[number - 1], given.words)}" for number in hits[: min(_HITS, given.lines)]]
    if rest := hits[len(shown) :]:
        shown.append(f"… {len(rest)} more such lines, from first_line {rest[0]} …")
    return "\n".join(shown) or f"these words stand nowhere in its {len(lines)} lines"


def _around(line: str, words: str) -> str:
    place = line.find(words)
    start, end = max(0, place - _AROUND), min(len(line), place + _AROUND)
    where = f"(offset {start}) …" if start else ""
    return f"{where}{line[start:end]}{'…' if end < len(line) else ''}"
