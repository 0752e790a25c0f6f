"""Looks for secrets in a file: in text of any coding and size, in bytes that are no text, inside a single gzip.

Knows nothing of sessions, nor of what becomes of a file that holds one.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ml_intern.redaction import Finding, Redactor
from ml_intern.session.belongings import Source

_LARGEST_TEXT = 20_000_000  # bytes; what is longer is looked through in pieces, and not written anew
_PIECE = 1 << 20
_OVERLAP = 1 << 15  # bytes that two pieces share: the longest key fits in, with what tells that it is one
_BLOCK = 1 << 12  # bytes that are text or are not
_MOST_UNPACKED = 2_000_000_000  # bytes of a gzip: what unpacks has no bound of its own
_NO_TEXT = bytes({*range(32), 127} - {*b"\a\b\t\n\v\f\r\x1b"})  # bytes that no text has, or few of them
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class Searched:
    """`found` in a file. `clean`: its content without that; None where nothing was found, or nothing can be cut out.
    `whole`: False where it was too much to look at all of it."""

    found: tuple[Finding, ...] = ()
    clean: bytes | None = None
    whole: bool = True

    @property
    def may_leave(self) -> bool:
        return self.whole and (not self.found or self.clean is not None)


def searched(redactor: Redactor, source: Source, pulse: Callable[[], None] = lambda: None) -> Searched:
    """`pulse` is called between two pieces. Raises OSError where it cannot be read."""
    text = _editable(source)
    if text is not None:
        clean, found = redactor.text(text, guess=True)
        return Searched(found, clean.encode() if found else None)
    kinds: dict[Finding, None] = {}
    whole = True
    for piece in _pieces(_chunks(source)):
        pulse()
        kinds.update(dict.fromkeys(_in_piece(redactor, piece)))
    if isinstance(source, Path) and _begins(source) == _GZIP:
        unpacked = _Unpacked(source)
        for piece in _pieces(unpacked):
            pulse()
            kinds.update(dict.fromkeys(_in_piece(redactor, piece)))
        whole = unpacked.whole
    return Searched(tuple(kinds), whole=whole)


def _editable(source: Source) -> str | None:
    """The text of what can be written anew: UTF-8 of a moderate size; None for all else."""
    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    if size > _LARGEST_TEXT:
        return None
    content = source if isinstance(source, bytes) else source.read_bytes()
    try:
        return None if b"\0" in content else content.decode()
    except UnicodeDecodeError:
        return None


def _in_piece(redactor: Redactor, piece: bytes) -> Iterator[Finding]:
    yield from redactor.in_bytes(piece)
    if (text := _readable(piece)).strip():
        for finding in redactor.text(text, guess=True)[1]:
            yield Finding(kind=finding.kind, line=0)


def _readable(piece: bytes) -> str:
    """What reads like text in it, block by block: it may be in any coding, or have a few odd bytes."""
    blocks = (piece[at : at + _BLOCK] for at in range(0, len(piece), _BLOCK))
    text = b"".join(_text_of(block) for block in blocks)
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def _text_of(block: bytes) -> bytes:
    """Without the NULs where there are as many as in UTF-16; with a line's end for each where there are few."""
    if wide := 4 * block.count(0) > len(block):
        block = block.replace(b"\0", b"")
    odd = len(block) - len(block.translate(None, _NO_TEXT))
    if 20 * odd > len(block) and (wide or b"\0" in block):
        return b"\n"
    return block.replace(b"\0", b"\n")


def _chunks(source: Source) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield from (source[at : at + _PIECE] for at in range(0, len(source), _PIECE))
        return
    with source.open("rb") as file:
        yield from iter(partial(file.read, _PIECE), b"")


def _begins(source: Path) -> bytes:
    with source.open("rb") as file:
        return file.read(len(_GZIP))


class _Unpacked:
    """The content of a gzip, as far as it is one, in chunks; `whole` is False once there was more than is looked at."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self.whole = True

    def __iter__(self) -> Iterator[bytes]:
        size = 0
        with suppress(OSError, EOFError, zlib.error), gzip.open(self._source) as file:
            while chunk := file.read1(_PIECE):  # gives what came before an error, too
                size += len(chunk)
                if size > _MOST_UNPACKED:
                    self.whole = False
                    return
                yield chunk


def _pieces(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Of bounded size, overlapping. They begin and end where a line or a word does, if there is such a place: half of a
    hash looks like a secret."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        while len(held) >= _PIECE + 2 * _OVERLAP:
            end = _cut(held, _PIECE, _PIECE + _OVERLAP)
            yield bytes(held[:end])
            del held[: _cut(held, end - 2 * _OVERLAP, end - _OVERLAP)]
    if held:
        yield bytes(held)


def _cut(held: bytearray, first: int, last: int) -> int:
    """After the last line's end in between, or the last space; else in the middle of whatever stands there."""
    for sign in (b"\n", b" "):
        if (at := held.rfind(sign, first, last)) >= 0:
            return at + 1
    return last
