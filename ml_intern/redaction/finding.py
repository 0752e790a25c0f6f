"""What a search for secrets produces: where, and of which kind; never the secret."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

# Stands for a mark left by an earlier redaction, at the same length; no pattern takes it into a value.
HIDDEN = "\x01"
_MARK = re.compile(r"\[redacted: (?:value of [\w.-]{1,64}|high-entropy value of '[a-z_]{1,32}'|[A-Za-z&' ]{3,40})\]")
DENSE = re.compile(r"[A-Za-z0-9_.%+/=~-]{20,}+")
_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class Finding(BaseModel):
    """A secret that was found. `line` counts from 1; 0 where there are no lines."""

    model_config = ConfigDict(frozen=True)

    kind: str
    line: int


class Span(NamedTuple):
    start: int
    end: int
    kind: str


def merged(spans: Iterable[Span]) -> list[Span]:
    """Overlapping spans become one, of the kind that came first in `spans`: the surest searches go first."""
    ranked = sorted(enumerate(spans), key=lambda item: (item[1].start, item[0]))
    done: list[tuple[int, Span]] = []
    for rank, span in ranked:
        if done and span.start < done[-1][1].end:
            best, last = done[-1]
            kind = last.kind if best <= rank else span.kind
            done[-1] = (min(best, rank), Span(last.start, max(last.end, span.end), kind))
        else:
            done.append((rank, span))
    return [span for _, span in done]


def dense(text: str) -> str:
    """The long unbroken runs of `text`, one a line: few in most text, and most secrets can stand nowhere else."""
    return "\n".join(DENSE.findall(text))


def mark(kind: str) -> str:
    return f"[redacted: {kind}]"


def without_marks(text: str) -> str:
    """`text` at the same length with earlier marks blanked: the word 'token' in one says nothing about what follows."""
    return _MARK.sub(lambda found: HIDDEN * len(found[0]), text) if "[redacted: " in text else text


def lowered(text: str) -> str:
    """Lower case for ASCII only where `str.lower` could change the length, so that positions stay valid."""
    return text.lower() if text.isascii() else text.translate(_LOWER)
