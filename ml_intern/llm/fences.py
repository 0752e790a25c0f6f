"""Fenced blocks of a model's text, with what stands behind the opening fence, and whether they were closed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = re.compile(r"^(?P<before>[^`\n]*)```(?P<info>[^`\n]*)$")
_CLOSED_AT_ITS_END = re.compile(r"[\]}][ \t]*```[ \t]*$")  # how models end JSON: `…}```
_BEGINS_AS_JSON = re.compile(r"\s*[\[{]")
_NAMES_A_FILE = re.compile(r"(^|[ \t])[\w./-]+\.[a-z]{1,5}[ \t]*$")


@dataclass(frozen=True)
class Block:
    """`start` and `body_start` are places in the text; `closed`: its closing fence was there."""

    start: int
    body_start: int
    info: str
    body: str
    closed: bool

    @property
    def end(self) -> int:
        """Where its body ends."""
        return self.body_start + len(self.body)


def fenced_blocks(text: str) -> Iterator[Block]:
    """In order. A fence that names a file ends the block before it, which its writer forgot to close; a fence with
    other words behind it, inside a block that is a file of Markdown, is that file's own."""
    opened: tuple[int, int, str] | None = None  # where it begins, where its body begins, its info
    inner = is_json = False
    place = 0
    for line in text.splitlines(keepends=True):
        start, place = place, place + len(line)
        bare = line.rstrip("\r\n")
        match = _FENCE.match(bare)
        if opened is None:
            if match and (not match["before"].strip() or match["info"].strip()):
                opened, inner = (start + len(match["before"]), place, match["info"].strip()), False
                is_json = _BEGINS_AS_JSON.match(text, place) is not None
            continue
        begin, body, info = opened
        if match and not match["before"].strip() and match["info"].strip():
            if info.endswith(".md") and not _NAMES_A_FILE.search(match["info"]):
                inner = True
                continue
            yield Block(begin, body, info, text[body:start], closed=True)
            opened, inner = (start + len(match["before"]), place, match["info"].strip()), False
            is_json = _BEGINS_AS_JSON.match(text, place) is not None
        elif match and not match["before"].strip() and inner:
            inner = False
        elif match and not match["before"].strip():
            yield Block(begin, body, info, text[body:start], closed=True)
            opened = None
        elif is_json and _CLOSED_AT_ITS_END.search(bare):
            yield Block(begin, body, info, text[body:place].rstrip().removesuffix("```"), closed=True)
            opened = None
    if opened is not None:
        begin, body, info = opened
        yield Block(begin, body, info, text[body:], closed=False)
