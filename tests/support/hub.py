"""A stand-in for the Hugging Face Hub on loopback: repositories at commits, read with the real client."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from urllib.parse import unquote, urlsplit

from tests.support.http import on_loopback


@dataclass
class Repository:
    """`commits`: revision to its files; `branches`: name to revision."""

    kind: str
    id: str
    licence: str = ""
    gated: bool = False
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)

    def commit(self, files: dict[str, bytes]) -> str:
        """A new commit on main that holds `files`."""
        parts = (f"{name}:{hashlib.sha256(data).hexdigest()}" for name, data in sorted(files.items()))
        revision = hashlib.sha1(f"{self.id} {len(self.commits)} {' '.join(parts)}".encode()).hexdigest()
        self.commits[revision] = files
        self.branches["main"] = revision
        return revision


@dataclass
class StandInHub:
    repositories: dict[tuple[str, str], Repository] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    lies: dict[str, bytes] = field(default_factory=dict)  # path in a repository to other content than it should have
    site: str = ""

    def create(self, kind: str, id: str, files: dict[str, bytes], licence: str = "", gated: bool = False) -> Repository:
        repository = Repository(kind, id, licence, gated)
        repository.commit(files)
        self.repositories[kind, id] = repository
        return repository

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        self.asked.append(path)
        parts = [unquote(part) for part in urlsplit(path).path.strip("/").split("/")]
        if parts[0] == "api":
            kind = parts[1].removesuffix("s")
            rest = parts[2:]
            cut = next((place for place, part in enumerate(rest) if part in ("revision", "tree")), len(rest))
            revision = rest[cut + 1] if cut < len(rest) else "main"
            return self._api(kind, "/".join(rest[:cut]), revision, tree="tree" in rest[cut : cut + 1])
        kind = "dataset" if parts[0] == "datasets" else "model"
        rest = parts[1:] if kind == "dataset" else parts
        cut = rest.index("resolve")
        return self._resolve(kind, "/".join(rest[:cut]), rest[cut + 1], "/".join(rest[cut + 2 :]))

    def _found(self, kind: str, id: str, revision: str) -> tuple[Repository, str] | tuple[int, dict[str, str], bytes]:
        repository = self.repositories.get((kind, id))
        if repository is None:
            return 404, {"X-Error-Code": "RepoNotFound"}, b"{}"
        if repository.gated:
            return 403, {"X-Error-Code": "GatedRepo"}, b"{}"
        commit = repository.branches.get(revision, revision)
        if commit not in repository.commits:
            return 404, {"X-Error-Code": "RevisionNotFound"}, b"{}"
        return repository, commit

    def _api(self, kind: str, id: str, revision: str, tree: bool) -> tuple[int, dict[str, str], bytes]:
        found = self._found(kind, id, revision)
        if len(found) == 3:
            return found
        repository, commit = found
        if tree:
            entries = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in repository.commits[commit].items()
            ]
            return 200, {"Content-Type": "application/json"}, json.dumps(entries).encode()
        files = [
            {"rfilename": name, "size": len(data), "blobId": hashlib.sha1(data).hexdigest()}
            for name, data in repository.commits[commit].items()
        ]
        told = {"id": id, "sha": commit, "private": False, "downloads": 0, "likes": 0, "tags": [], "siblings": files}
        told |= {"cardData": {"license": repository.licence}} if repository.licence else {}
        return 200, {"Content-Type": "application/json"}, json.dumps(told).encode()

    def _resolve(self, kind: str, id: str, revision: str, name: str) -> tuple[int, dict[str, str], bytes]:
        found = self._found(kind, id, revision)
        if len(found) == 3:
            return found
        repository, commit = found
        data = repository.commits[commit].get(name)
        if data is None:
            return 404, {"X-Error-Code": "EntryNotFound"}, b""
        headers = {"ETag": f'"{hashlib.sha1(data).hexdigest()}"', "X-Repo-Commit": commit}
        return 200, headers, self.lies.get(name, data)


@contextmanager
def serve_hub() -> Iterator[StandInHub]:
    hub = StandInHub()

    def answer(path: str, headers: Message) -> tuple[int, dict[str, str], bytes]:
        hub.tokens.add(headers.get("Authorization", ""))
        return hub.answer(path)

    with on_loopback(answer) as hub.site:
        yield hub
