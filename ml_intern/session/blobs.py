"""Long texts of a session's events, each in a file named by its sha256; the event keeps a reference."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ml_intern.errors import SessionError
from ml_intern.session.disk import write_whole

LONGEST = 65_536  # characters of a string that stays in its event
_MARK = "$blob"


class Blobs:
    """Files in `folder`, which is made when the first is written."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, content: bytes) -> str:
        """Durable when it returns; the same content is kept once. Returns its sha256."""
        digest = hashlib.sha256(content).hexdigest()
        path = self.folder / digest
        if not path.exists():
            write_whole(path, content)
        return digest

    def holds(self, digest: str) -> bool:
        return (self.folder / digest).exists()

    def get(self, digest: str) -> bytes:
        """Raises SessionError where it is not there, or is not what it was."""
        path = self.folder / Path(digest).name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SessionError("A part of the session is missing.", f"{path}: {error.strerror}") from None
        if hashlib.sha256(content).hexdigest() != digest:
            raise SessionError("A part of the session is damaged.", f"{path} does not have the content of its name")
        return content

    def text(self, digest: str) -> str:
        """The same as text."""
        try:
            return self.get(digest).decode()
        except UnicodeDecodeError:
            raise SessionError("A part of the session is damaged.", f"{self.folder / digest} is no text") from None

    def spilled(self, value: Any) -> Any:
        """`value` with every string over LONGEST put into a blob."""
        return spilled(value, self.put)

    def whole(self, value: Any) -> Any:
        """`value` with everything put back that `spilled` took out."""
        if isinstance(value, dict):
            if value.keys() == {_MARK} and isinstance(value[_MARK], str):
                return self.text(value[_MARK])
            return {key: self.whole(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self.whole(one) for one in value]
        return value


def spilled(value: Any, put: Callable[[bytes], str]) -> Any:
    """`value` with every string over LONGEST replaced by a reference to what `put` says its name is."""
    if isinstance(value, str) and len(value) > LONGEST:
        return {_MARK: put(value.encode("utf-8", "replace"))}
    if isinstance(value, dict):
        return {key: spilled(one, put) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [spilled(one, put) for one in value]
    return value


def named_in(value: Any) -> set[str]:
    """The digests of all blobs that `value` refers to."""
    if isinstance(value, dict):
        if value.keys() == {_MARK} and isinstance(value[_MARK], str):
            return {value[_MARK]}
        return set().union(*(named_in(one) for one in value.values()))
    if isinstance(value, list):
        return set().union(*(named_in(one) for one in value))
    return set()
