"""What was found in the files of a session, remembered for as long as a file stays as it is: looking is slow."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ml_intern.redaction import Finding, Redactor
from ml_intern.session.belongings import Source
from ml_intern.session.sync.manifest import Item
from ml_intern.session.sync.searched import Searched, searched

_SETTLED = 2.0  # seconds since a file's last change, after which the next one is sure to have another time
Signature = tuple[str | int, ...]


@dataclass(frozen=True)
class Looked:
    """A file as it may leave. `name`: its path without secrets, `in_name` what those were; `item`: of its content
    without what was found."""

    name: str
    in_name: tuple[Finding, ...]
    inside: Searched
    item: Item


class Search:
    """With one redactor, whose known values stay what they are: where others become known, it takes a new one of these.
    `pulse` is called again and again while files are looked through."""

    def __init__(self, redactor: Redactor, pulse: Callable[[], None] = lambda: None) -> None:
        self.redactor = redactor
        self._pulse = pulse
        self._known: dict[str, tuple[Signature, Looked]] = {}

    def look(self, path: str, source: Source) -> Looked:
        """The file that leaves as `path`. One that is as it was is not opened again. Raises OSError."""
        self._pulse()
        now = signature(source)
        before, looked = self._known.get(path, ((), None))
        if looked is not None and before == now:
            return looked
        inside = searched(self.redactor, source, self._pulse)
        name, in_name = self.redactor.text(path, guess=True)
        looked = Looked(name, in_name, inside, item_of(source if inside.clean is None else inside.clean))
        if signature(source) == now and _is_settled(source):
            self._known[path] = (now, looked)
        return looked


def signature(source: Source) -> Signature:
    """What is another one once the content is. Raises OSError."""
    if isinstance(source, bytes):
        return (hashlib.sha256(source).hexdigest(),)
    told = source.stat()
    return (str(source), told.st_size, told.st_mtime_ns, told.st_ino, told.st_ctime_ns)


def _is_settled(source: Source) -> bool:
    return isinstance(source, bytes) or time.time() - source.stat().st_ctime > _SETTLED


def item_of(source: Source) -> Item:
    """Raises OSError."""
    if isinstance(source, Path):
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return Item(sha256=digest, size=source.stat().st_size)
    return Item(sha256=hashlib.sha256(source).hexdigest(), size=len(source))
