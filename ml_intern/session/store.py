"""Sessions on disk: one folder each under `$ML_INTERN_HOME/sessions/`, and the names of what lies in it."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

from ml_intern.errors import InputError
from ml_intern.session.log import read_log
from ml_intern.session.state import State, fold


class SessionFolder:
    """Paths of one session. Nothing is created by naming it; `write` writes a file whole or not at all."""

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

    def state(self) -> State:
        return fold(read_log(self.log))


def write_whole(path: Path, content: str | bytes) -> None:
    """Writes through a temporary file and a rename, so that a reader sees the old or the new content, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    data = content.encode() if isinstance(content, str) else content
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


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
                if (path / "events.jsonl").exists():
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
