"""A call that stands in a text, and which count of several that overlap."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class TextCall:
    """It stands from `place` to `end` in the text; `arguments` as JSON; `closed`: what ends it was there; `half`: it
    breaks off in a string."""

    place: int
    end: int
    name: str
    arguments: str
    closed: bool
    half: bool = False


def outermost(calls: Iterable[TextCall]) -> list[TextCall]:
    """In order, without those that begin inside another: they are the text of a file, say."""
    found: list[TextCall] = []
    for call in sorted(calls, key=lambda call: (call.place, -call.end)):
        if not found or call.place >= found[-1].end:
            found.append(call)
    return found
