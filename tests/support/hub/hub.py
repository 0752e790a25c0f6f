"""The stand-in Hub: who may do what, and which route is answered by whom. Knows nothing about sockets."""

import json
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tests.support.hub.faults import Faults
from tests.support.hub.repository import Repository
from tests.support.hub.wire import Refused, Request

Rights = Literal["read", "write"]


@dataclass(frozen=True)
class User:
    name: str
    rights: Rights = "write"
    organisations: tuple[str, ...] = ()

    def is_at_home(self, id: str) -> bool:
        return id.split("/")[0] in (self.name, *self.organisations)


@dataclass
class Asked:
    """A request that came: `received` is counted while its body comes; status 0 if no answer went out."""

    method: str
    path: str
    token: str = ""
    received: int = 0
    sent: int = 0
    status: int = 0

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class StandInHub:
    """Without users it does not look at tokens, and nobody can write."""

    folder: Path
    users: dict[str, User] = field(default_factory=dict)  # by token
    most_regular: int = 10_000_000  # larger files go to LFS, as do binary ones and those that .gitattributes names
    page: int = 1000  # entries of a tree or of a list of commits in one answer
    requests: list[Asked] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)  # the Authorization headers that were sent
    lies: dict[str, bytes] = field(default_factory=dict)  # path in a repository to other content than it should have
    faults: Faults = field(default_factory=Faults)
    site: str = ""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def asked(self) -> list[str]:
        return [request.path for request in self.requests]

    def matching(self, route: str) -> list[Asked]:
        return [request for request in self.requests if route in request.line]

    def count(self, route: str) -> int:
        return len(self.matching(route))

    def received(self, route: str = "") -> int:
        """Bytes of bodies."""
        return sum(request.received for request in self.matching(route))

    def user(self, token: str, name: str, rights: Rights = "write", organisations: tuple[str, ...] = ()) -> User:
        self.users[token] = User(name, rights, organisations)
        return self.users[token]

    def create(
        self,
        kind: str,
        id: str,
        files: Mapping[str, bytes],
        licence: str = "",
        gated: bool = False,
        private: bool = False,
    ) -> Repository:
        """A repository that was there before, with one commit."""
        repository = self.begin(kind, id, private, licence, gated)
        repository.commit(files)
        return repository

    def begin(self, kind: str, id: str, private: bool, licence: str = "", gated: bool = False) -> Repository:
        """Without any commit. Raises FileExistsError."""
        with self._lock:
            folder = self._folder(kind, id)
            folder.mkdir(parents=True)
        repository = Repository(folder, self.most_regular, self)
        about = {"kind": kind, "id": id, "private": private, "licence": licence, "gated": gated}
        repository.write({**about, "branches": {}, "commits": {}})
        return repository

    def repository(self, kind: str, id: str) -> Repository:
        """Raises KeyError."""
        if not (self._folder(kind, id) / "repository.json").is_file():
            raise KeyError(f"{kind} {id}")
        return Repository(self._folder(kind, id), self.most_regular, self)

    def repositories(self) -> list[tuple[str, str]]:
        """kind and id of each."""
        told = (json.loads(path.read_text()) for path in self.folder.glob("*/*/repository.json"))
        return sorted((one["kind"], one["id"]) for one in told)

    def remove(self, repository: Repository) -> None:
        shutil.rmtree(repository.folder)

    def who(self, request: Request) -> User | None:
        """None without a token. Raises Refused for one that nobody has."""
        if not request.token or not self.users:
            return None
        user = self.users.get(request.token)
        if user is None:
            raise Refused(401, "Invalid credentials in Authorization header")
        return user

    def readable(self, request: Request, kind: str, id: str) -> Repository:
        user = self.who(request)
        try:
            repository = self.repository(kind, id)
        except KeyError:
            raise Refused(404, "Repository not found", "RepoNotFound") from None
        about = repository.about
        at_home = user is not None and user.is_at_home(id)
        if about["private"] and not at_home:
            raise Refused(404, "Repository not found", "RepoNotFound")
        if about["gated"] and not at_home:
            raise Refused(403, "Access to this repository is restricted", "GatedRepo")
        return repository

    def writable(self, request: Request, kind: str, id: str) -> tuple[Repository, User]:
        repository = self.readable(request, kind, id)
        return repository, self.writer(request, id)

    def writer(self, request: Request, id: str) -> User:
        user = self.who(request)
        if user is None:
            raise Refused(401, "Invalid username or password.")
        if user.rights != "write" or not user.is_at_home(id):
            raise Refused(403, f"You don't have the rights to write under the namespace {id.split('/')[0]!r}")
        return user

    def _folder(self, kind: str, id: str) -> Path:
        return self.folder / f"{kind}s" / id.replace("/", "--")
