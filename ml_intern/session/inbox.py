"""What a person says to a session while it runs: one file a message in its folder, written whole, in order.

Whoever runs the session takes them; that one was taken stands in the log first, so that a crash neither loses nor
repeats it. Knows nothing of what a message does, nor of who writes it: a terminal, another one, a page.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import time
from collections.abc import Container, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from ml_intern.session.disk import write_whole
from ml_intern.session.events import Event

Command = Literal["pause", "go-on", "stop"]
LONGEST = 20_000  # characters of words
_LARGEST = 200_000  # bytes of a file
_NAME = re.compile(r"\d{20}-[0-9a-f]{8}\.json")


class Told(BaseModel):
    """One message: words for the model, a command, or settings by their names in the session. `id` orders them; `time`
    is seconds since the epoch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str = ""
    time: float = 0.0
    words: str = ""
    command: Command | None = None
    settings: dict[str, Any] = {}

    @property
    def only_words(self) -> bool:
        """Whether nothing but a model is to follow it: such a message may come from another machine."""
        return bool(self.words) and not self.command and not self.settings


def heard(events: Iterable[Event]) -> set[str]:
    """Ids of the messages that the log has."""
    return {event.data["inbox"] for event in events if "inbox" in event.data}


class Inbox:
    """The messages of one session, in `folder`; nothing is made before the first is put."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, told: Told) -> str:
        """On disk when it returns; gives its id."""
        now = time.time_ns()
        id = f"{now:020d}-{secrets.token_hex(4)}"
        whole = told.model_copy(update={"id": id, "time": now / 1e9, "words": told.words[:LONGEST]})
        write_whole(self.folder / f"{id}.json", whole.model_dump_json())
        return id

    def waiting(self, taken: Container[str] = ()) -> Iterator[Told]:
        """In the order they were put, without those `taken`; what is no message is passed over."""
        for path in self._files():
            if path.stem not in taken and (told := _read(path)) is not None:
                yield told

    def clear(self, taken: Container[str]) -> None:
        """Removes the files of messages that were taken."""
        for path in self._files():
            if path.stem in taken:
                path.unlink(missing_ok=True)

    def keep_words(self) -> None:
        """Removes everything else: what came from elsewhere pauses, stops and sets nothing here."""
        kept = {told.id for told in self.waiting() if told.only_words}
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path.stem not in kept or path.suffix != ".json":
                path.unlink()

    def add(self, others: Iterable[Told]) -> None:
        """Messages of another folder, as they are; on disk when it returns."""
        for told in others:
            write_whole(self.folder / f"{told.id}.json", told.model_dump_json())

    def _files(self) -> list[Path]:
        try:
            return sorted(path for path in self.folder.iterdir() if _NAME.fullmatch(path.name))
        except OSError:
            return []


def _read(path: Path) -> Told | None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            told = Told.model_validate_json(file.read(_LARGEST))
    except (OSError, ValidationError):
        return None
    return told if told.id == path.stem else None
