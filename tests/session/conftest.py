"""Two machines with the stand-in Hub between them."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from huggingface_hub import constants

from ml_intern.redaction import Redactor
from ml_intern.session.store import SessionFolder, SessionStore
from ml_intern.session.sync.download import Fetched, fetch
from ml_intern.session.sync.manifest import Manifest
from ml_intern.session.sync.remote import Remote
from ml_intern.session.sync.upload import Uploader
from tests.support.hub import ServedHub, serve_hub

REPO = "ada/ml-intern-sessions"
SECRET = "hf_" + "Qw7zXc9Lm2" * 4


@dataclass
class World:
    """A Hub and two machines."""

    hub: ServedHub
    here: Path
    there: Path

    def remote(self, token: str = "hf_write") -> Remote:
        return Remote(self.hub.site, token)

    def uploader(self, folder: SessionFolder, known: dict[str, str] | None = None, token: str = "hf_write") -> Uploader:
        remote = self.remote(token)
        remote.make(REPO, public=False)
        home = folder.root.parents[1]
        return Uploader(folder, remote, REPO, Redactor(known or {}), home)

    def fetch(
        self, id: str, home: Path | None = None, take_over: bool = False, known: dict[str, str] | None = None
    ) -> Fetched:
        home = home or self.there
        locator = f"hf://datasets/{REPO}/{id}"
        redactor = Redactor(known or {})
        return fetch(locator, SessionStore(home / "sessions"), self.remote(), home, redactor, take_over=take_over)

    def older_copy(self, folder: SessionFolder) -> SessionFolder:
        """There, with the first four events of the session."""
        older = SessionFolder(self.there / "sessions" / folder.id)
        older.root.mkdir(parents=True)
        older.log.write_bytes(b"".join(folder.log.read_bytes().splitlines(keepends=True)[:4]))
        return older

    def files(self) -> dict[str, bytes]:
        repository = self.hub.repository("dataset", REPO)
        return repository.files(repository.head)

    def manifest(self, id: str) -> Manifest:
        return Manifest.model_validate_json(self.files()[f"{id}/session.json"])


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(time, "sleep", lambda seconds: None)  # the client's own pauses
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    with serve_hub() as hub:
        hub.user("hf_write", "ada")
        hub.user("hf_read", "ada", "read")
        yield World(hub, tmp_path / "here", tmp_path / "there")
