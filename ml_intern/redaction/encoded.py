"""Looks inside base64: secrets that were encoded as a part of something longer."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable, Iterable, Iterator

from ml_intern.redaction.finding import Span

_RUN = re.compile(r"[A-Za-z0-9+/_-]{28,}+")
_WORDS = re.compile(r"[A-Za-z_/-]+|[0-9a-f]+")  # an identifier, a path or a hash is not worth decoding

_READABLE = re.compile(rb"[\t\n\r\x20-\x7e]{16,}+")


def encoded_spans(text: str, runs: str, search: Callable[[str], Iterable[Span]]) -> Iterator[Span]:
    """What `search` finds in the decoded runs of `text`, as spans of the run (whole groups of four characters)."""
    if not _RUN.search(runs):
        return
    for found in _RUN.finditer(text):
        run = found[0]
        if run.islower() or run.isupper() or _WORDS.fullmatch(run):
            continue
        standard = run.replace("-", "+").replace("_", "/")
        # The run may begin with characters that are no part of it: a path, the end of the line before.
        for offset in range(4):
            for readable in _READABLE.finditer(_decoded(standard[offset:])):
                for span in search(readable[0].decode("ascii")):
                    start, end = (readable.start() + span.start) // 3 * 4, -(-(readable.start() + span.end) // 3) * 4
                    at = found.start() + offset
                    yield Span(at + start, min(at + end, found.end()), span.kind)


def _decoded(run: str) -> bytes:
    """All whole bytes of `run`, padded or not."""
    whole = len(run) // 4 * 4
    rest = run[whole:] if len(run) - whole >= 2 else ""
    return binascii.a2b_base64(run[:whole] + rest + "=" * (-len(rest) % 4))
