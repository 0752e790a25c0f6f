"""What a person asks of many sessions: which there are, how large and how old, where some words stand, what may go."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from ml_intern.errors import SessionError
from ml_intern.session.log import held_still, is_held
from ml_intern.session.state import State
from ml_intern.session.store import SessionFolder, SessionStore

_ABANDONED = 86_400.0  # seconds after which nobody works any more on what is half there


@dataclass(frozen=True)
class Entry:
    """`status` is the state's, `stopped` where the log says running and nobody runs it, or `damaged` (`state` is then
    None and `problem` says why)."""

    folder: SessionFolder
    status: str
    state: State | None
    problem: str = ""

    @property
    def age(self) -> float:
        """Seconds since its last event."""
        updated = self.state.updated if self.state else self.folder.root.stat().st_mtime
        return max(0.0, time.time() - updated)

    @cached_property
    def size(self) -> int:
        """Bytes of all its files, as they were when they were first asked for."""
        return size(self.folder)


class Hit(NamedTuple):
    """Words found in event `seq` of a session; `line` has them."""

    seq: int
    type: str
    line: str


def entry(folder: SessionFolder) -> Entry:
    try:
        state = folder.state()
    except (SessionError, OSError) as error:
        return Entry(folder, "damaged", None, problem_of(error))
    return Entry(folder, status_of(folder, state), state)


def status_of(folder: SessionFolder, state: State) -> str:
    """What an Entry says of a session that is not damaged."""
    stopped = state.status in ("running", "new") and not is_held(folder.log)
    return "stopped" if stopped else state.status


def problem_of(error: Exception) -> str:
    """In words, why a session could not be read."""
    return f"Its log cannot be read: {error.strerror or error}" if isinstance(error, OSError) else str(error)


def size(folder: SessionFolder) -> int:
    """Bytes of all its files."""
    return sum(path.lstat().st_size for path in folder.root.rglob("*") if not path.is_dir())


def search(folder: SessionFolder, words: str) -> list[Hit]:
    """Events that hold `words`, in any case, also in the outputs that they keep beside the log. Raises SessionError."""
    wanted = words.casefold()
    hits = []
    for event in folder.events():
        for text in (*_texts(event.data), folder.output(event)):
            for line in text.splitlines():
                if wanted in line.casefold():
                    hits.append(Hit(event.seq, event.type, line.strip()))
    return hits


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def remove(folder: SessionFolder) -> None:
    """All of it. Raises SessionError where somebody works on it, or a run of it lives on. A crash in between leaves no
    half session."""
    aside = folder.root.with_name(f".removed-{folder.id}")
    with held_still(folder.log):
        require_no_run(folder)
        folder.root.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def living_runs(folder: SessionFolder) -> list[str]:
    """Its runs that outlived the harness that began them, as after a kill: their supervisor holds their journal."""
    return sorted({path.parent.name for path in folder.root.glob("runs/*/*.run") if is_held(path)})


def require_no_run(folder: SessionFolder) -> None:
    """Raises SessionError where a run of the session lives on."""
    if alive := living_runs(folder):
        raise SessionError(
            f"A run of session {folder.id} is still going on: {', '.join(alive[:5])}.",
            "it outlived the program that began it",
            f"ml-intern resume {folder.id} takes it over, and Ctrl-C then stops it.",
        )


def prunable(store: SessionStore, older_than: float, statuses: tuple[str, ...], keep: int) -> list[Entry]:
    """Sessions that are older than so many seconds and of such a status, but for the `keep` newest of all."""
    entries = [entry(folder) for folder in store.all()]
    return [
        one for one in entries[keep:]
        if one.age >= older_than and one.status in statuses and not is_held(one.folder.log)
        and not living_runs(one.folder)
    ]  # fmt: skip


def left_overs(store: SessionStore) -> list[str]:
    """Removes what an interrupted removal left, a fork or a download that was interrupted a day ago or earlier, and
    what was replaced by what came from the Hub, where that is in its place; names what it was."""
    gone = []
    for path in sorted(store.root.glob(".*-*")) if store.root.is_dir() else ():
        kind, _, name = path.name.partition("-")
        old = time.time() - path.lstat().st_mtime > _ABANDONED
        replaced = kind == ".replaced" and (store.root / name.rpartition("-")[0] / "events.jsonl").exists()
        if kind == ".removed" or replaced or (kind in (".forking", ".coming") and old):
            shutil.rmtree(path, ignore_errors=True)
            gone.append(name)
    return gone


def as_line(one: Entry) -> str:
    """As JSON, for a program."""
    state = one.state.model_dump(mode="json") if one.state else {}
    state |= {"id": one.folder.id, "status": one.status, "bytes": one.size}
    return json.dumps(state | ({"problem": one.problem} if one.problem else {}), ensure_ascii=False)
