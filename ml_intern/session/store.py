"""Sessions on disk: one folder each under `$ML_INTERN_HOME/sessions/`, and the names of what lies in it."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from ml_intern.errors import InputError, SessionError
from ml_intern.session.blobs import Blobs
from ml_intern.session.disk import make_folder, sync
from ml_intern.session.events import Event
from ml_intern.session.inbox import Inbox
from ml_intern.session.log import read_good, read_log
from ml_intern.session.state import State, fold

_LARGEST_SOURCE = 200_000_000  # bytes


class SessionFolder:
    """Paths of one session. Nothing is created by naming it."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def id(self) -> str:
        return self.root.name

    @property
    def log(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def paper(self) -> Path:
        return self.root / "paper.json"

    @property
    def plan(self) -> Path:
        return self.root / "plan.yaml"

    @property
    def ledger(self) -> Path:
        return self.root / "evidence.jsonl"

    @property
    def predictions(self) -> Path:
        return self.root / "predictions"

    @property
    def blobs(self) -> Blobs:
        return Blobs(self.root / "blobs")

    @property
    def inbox(self) -> Inbox:
        return Inbox(self.root / "inbox")

    @property
    def report(self) -> Path:
        return self.root / "report.md"

    def experiment(self, experiment: str) -> Path:
        """The scripts, as the model writes them."""
        return self.root / "workspace" / experiment

    def frozen(self, experiment: str) -> Path:
        """The scripts, as they were frozen; runs use these."""
        return self.root / "frozen" / experiment

    def data(self, experiment: str) -> Path:
        return self.root / "data" / experiment

    def bench(self, experiment: str) -> Path:
        """What the executor tries by hand: its commands, their output and files. Nothing of it is evidence."""
        return self.root / "bench" / experiment

    def run(self, run_id: str) -> Path:
        return self.root / "runs" / run_id

    def keep_source(self, locator: str) -> None:
        """A copy of a local paper, for a session that goes on elsewhere; what is very large stays where it is, and so
        does what links in its folder lead to outside of it."""
        path = Path(locator).expanduser()
        if not locator or not path.exists():
            return
        whole = path.resolve()
        inside = (one for one in path.rglob("*") if one.resolve().is_relative_to(whole) and one.is_file())
        files = list(inside) if path.is_dir() else [path]
        if sum(one.stat().st_size for one in files) <= _LARGEST_SOURCE:
            for one in files:
                kept = self.root / "source" / one.relative_to(path.parent)
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(one, kept)

    def source(self, locator: str) -> str:
        """Where the paper is: where the person said, or the copy of it."""
        kept = self.kept_source(locator)
        return str(kept) if kept and not Path(locator).expanduser().exists() else locator

    def kept_source(self, locator: str) -> Path | None:
        """The copy of a local paper, where there is one."""
        name = Path(locator).name
        kept = self.root / "source" / name
        return kept if name not in ("", "..") and kept.exists() else None

    def events(self) -> tuple[Event, ...]:
        """Raises SessionError where the log is damaged."""
        return read_log(self.log)

    def output(self, event: Event) -> str:
        """What a tool said in full, where the event keeps it beside the log; empty for all others, and where the file
        is gone."""
        if event.type != "output.kept":
            return ""
        try:
            return self.blobs.text(str(event.data.get("digest", "")))
        except SessionError:
            return ""

    def good_events(self) -> tuple[tuple[Event, ...], State, str]:
        """Events up to where the log is damaged, or cannot be understood, the state there, and what is wrong behind it;
        empty where nothing is. Raises SessionError where that state is none of any session."""
        events, problem = read_good(self.log)
        state = State()
        for place, event in enumerate(events):
            try:
                state = fold([event], state)
            except SessionError as error:
                events, problem = events[:place], error
                break
        return events, self._validated(state), str(problem or "")

    def state(self) -> State:
        """Raises SessionError where the log is damaged, or says what no session says."""
        return self._validated(fold(self.events()))

    def _validated(self, folded: State) -> State:
        try:
            return State.model_validate(dict(folded))
        except ValidationError as error:
            raise SessionError(f"The log of session {self.id} cannot be understood.", str(error)[:500]) from None


def _written(log: Path) -> int:
    """When it was last written, in nanoseconds since the epoch; -1 where it is not there."""
    try:
        return log.lstat().st_mtime_ns
    except OSError:
        return -1


class SessionStore:
    """All sessions under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self, beginning: str = "") -> SessionFolder:
        """A new, empty folder, named by date and four random letters; with `beginning` before that."""
        name = beginning + time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)
        folder = self.root / name
        make_folder(self.root)
        folder.mkdir()
        sync(self.root)
        return SessionFolder(folder)

    def all(self) -> Iterator[SessionFolder]:
        """The one that was worked on last comes first: an id tells when a session began, by the clock of the machine
        that it began on."""
        if self.root.is_dir():
            found = [(_written(path / "events.jsonl"), path) for path in self.root.iterdir()]
            for written, path in sorted(found, reverse=True):
                if written >= 0 and not path.name.startswith("."):
                    yield SessionFolder(path)

    def find(self, session: str) -> SessionFolder:
        """By id, unique beginning of an id, or `last`. Raises InputError."""
        if not session:
            raise InputError("No session was named.", next="`ml-intern sessions` lists them; `last` is the latest.")
        found = list(self.all())
        matching = found[:1] if session == "last" else [folder for folder in found if folder.id.startswith(session)]
        exact = [folder for folder in matching if folder.id == session]
        if len(exact or matching) == 1:
            return (exact or matching)[0]
        why = "several begin so" if matching else f"there are {len(found)} sessions in {self.root}"
        raise InputError(f"There is no one session {session!r}.", why, "`ml-intern sessions` lists them.")
