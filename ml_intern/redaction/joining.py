"""Reads text as if line breaks and string concatenation were not there, and maps positions back to the text."""

from __future__ import annotations

import re
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate

_INDENT = r"""\s*+(?:\+\s++|[>#]\s++)?(?:[bfruBFRU]{1,2}(?=["']))?"""
# Begins with one of five characters and retries no repetition: fast on any text, and linear.
_BREAK = re.compile(
    r"""([\n\r"'\\](?:"""
    rf"""(?<=[\n\r]){_INDENT}"""  # a line break; or an escaped one, perhaps between the items of a list
    r"""|(?<=\\)[nr](?:\\{1,8}["'],\s{0,40}+\\{0,8}["']|["'],\s{0,40}+["'])?"""
    # "abc" + "def", on one line or two
    rf"""|(?<=["'])[ \t]{{0,8}}(?:\+[ \t]{{0,8}})?(?:\\?(?:\r\n?|\n){_INDENT}|[bfru]?["'])))"""
)
_EDGES = " \t\r\n\"'`\\|\u2502"


class Joined:
    """`text` without what stands between the two halves of a value that was split."""

    def __init__(self, text: str) -> None:
        self._parts = _BREAK.split(text)
        self._pieces = [piece.strip(_EDGES) for piece in self._parts[::2]]
        self.text = "".join(self._pieces)

    @cached_property
    def _starts(self) -> list[int]:
        """Where each piece begins in the joined text."""
        return [0, *accumulate(map(len, self._pieces))][:-1]

    @cached_property
    def _origins(self) -> list[int]:
        """Where each unstripped piece begins in the original text."""
        return [0, *accumulate(map(len, self._parts))][:-1:2]

    def breaks(self, start: int, end: int) -> list[int]:
        """The first few positions strictly inside `start:end` of the joined text where a break was taken out."""
        first = bisect_right(self._starts, start)
        inside: list[int] = []
        for position in self._starts[first : first + 16]:
            if position < end and (not inside or position > inside[-1]):
                inside.append(position)
        return inside

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original text that `start:end` of the joined text came from."""
        return self._origin(start), self._origin(end - 1) + 1

    def _origin(self, position: int) -> int:
        number = bisect_right(self._starts, position) - 1
        piece = self._parts[2 * number]
        return self._origins[number] + len(piece) - len(piece.lstrip(_EDGES)) + position - self._starts[number]
