"""Sessions on disk: one folder each under `$ML_INTERN_HOME/sessions/`, and the names of what lies in it."""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from ml_intern.errors import InputError
from ml_intern.session.blobs import Blobs
from ml_intern.session.events import Event
from ml_intern.session.log import read_log
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

    def run(self, run_id: str) -> Path:
        return self.root / "runs" / run_id

    def keep_source(self, locator: str) -> None:
        """A copy of a local paper, for a session that goes on elsewhere; what is very large stays where it is."""
        path = Path(locator).expanduser()
        if not locator or not path.exists():
            return
        files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
        if sum(one.stat().st_size for one in files) <= _LARGEST_SOURCE:
            for one in files:
                kept = self.root / "source" / one.relative_to(path.parent)
                kept.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(one, kept)

    def source(self, locator: str) -> str:
        """Where the paper is: where the person said, or the copy of it."""
        kept = self.root / "source" / Path(locator).name
        return str(kept) if kept.exists() and not Path(locator).expanduser().exists() else locator

    def events(self) -> tuple[Event, ...]:
        """Raises SessionError where the log is damaged."""
        return read_log(self.log)

    def state(self) -> State:
        return fold(self.events())


class SessionStore:
    """All sessions under one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def create(self) -> SessionFolder:
        """A new, empty folder, named by date and four random letters."""
        name = time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)
        folder = self.root / name
        folder.mkdir(parents=True)
        return SessionFolder(folder)

    def all(self) -> Iterator[SessionFolder]:
        """Newest first."""
        if self.root.is_dir():
            for path in sorted(self.root.iterdir(), reverse=True):
                if not path.name.startswith(".") and (path / "events.jsonl").exists():
                    yield SessionFolder(path)

    def find(self, session: str) -> SessionFolder:
        """By id, unique beginning of an id, or `last`. Raises InputError."""
        found = list(self.all())
        matching = found[:1] if session == "last" else [folder for folder in found if folder.id.startswith(session)]
        exact = [folder for folder in matching if folder.id == session]
        if len(exact or matching) == 1:
            return (exact or matching)[0]
        why = "several begin so" if matching else f"there are {len(found)} sessions in {self.root}"
        raise InputError(f"There is no one session {session!r}.", why, "`ml-intern sessions` lists them.")
