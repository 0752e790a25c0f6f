"""Repositories as folders, so that two processes see the same. Knows nothing about HTTP."""

import fcntl
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

# What a new repository of the Hub stores with LFS, shortened.
ATTRIBUTES = "".join(
    f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n"
    for suffix in ("safetensors", "bin", "gz", "npy", "npz", "parquet", "pt", "tar", "zip")
).encode()

SAMPLE = 512  # bytes of a file that are shown to the Hub before it says which way the file goes


class Moved(Exception):
    """The branch is not where the one who commits believes it to be."""


class Missing(Exception):
    """A commit names what is not there."""


@dataclass(frozen=True)
class File:
    """`oid`: as git counts it, of the pointer if the content is in LFS."""

    sha256: str
    size: int
    oid: str
    lfs: bool = False


@dataclass(frozen=True)
class Commit:
    id: str
    title: str
    message: str
    author: str
    date: str
    parent: str | None
    files: dict[str, File]


def git_oid(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def pointer(sha256: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


def goes_to_lfs(name: str, size: int, sample: bytes, attributes: str, most_regular: int) -> bool:
    patterns = (line.split()[0] for line in attributes.splitlines() if "filter=lfs" in line)
    if any(fnmatch(name, pattern) or fnmatch(name.rsplit("/", 1)[-1], pattern) for pattern in patterns):
        return True
    return size > most_regular or _is_binary(sample)


def _is_binary(sample: bytes) -> bool:
    try:
        text = sample.decode()
    except UnicodeDecodeError as error:
        return len(sample) < SAMPLE or error.start < SAMPLE - 3  # a character that the sample cuts is no sign
    return "\0" in text


class Repository:
    """One folder: `repository.json`, `blobs/` and `lfs/` by SHA-256. Nothing is kept in the object.

    `keeper`: what the folder goes with, if it is a passing one.
    """

    def __init__(self, folder: Path, most_regular: int = 10_000_000, keeper: object = None) -> None:
        self.folder, self.most_regular, self.keeper = folder, most_regular, keeper

    @property
    def about(self) -> dict[str, Any]:
        """kind, id, private, gated, licence, branches and commits."""
        told: dict[str, Any] = json.loads((self.folder / "repository.json").read_text())
        return told

    @property
    def branches(self) -> dict[str, str]:
        return dict(self.about["branches"])

    @property
    def head(self) -> str:
        return self.branches["main"]

    @property
    def commits(self) -> dict[str, Commit]:
        """By id, oldest first."""
        return {id: _commit(told) for id, told in self.about["commits"].items()}

    def files(self, revision: str = "main") -> dict[str, bytes]:
        """Path to content."""
        id = self.branches.get(revision, revision)
        held = self.commits[id].files
        return {name: self.content(file) for name, file in held.items()}

    def content(self, file: File) -> bytes:
        return (self.folder / ("lfs" if file.lfs else "blobs") / file.sha256).read_bytes()

    def commit(self, files: Mapping[str, bytes], title: str = "Commit", author: str = "somebody") -> str:
        """A new commit on main that holds `files` and nothing else."""
        stored = self._stored_all(files)
        return self.record(lambda _: stored, title, author=author)

    def commit_aside(
        self, files: Mapping[str, bytes], deleted: Iterable[str] = (), title: str = "From the side"
    ) -> str:
        """What somebody else commits on main meanwhile: `files` are added, `deleted` go, all others stay."""
        stored, gone = self._stored_all(files), set(deleted)
        return self.record(lambda held: {name: file for name, file in held.items() if name not in gone} | stored, title)

    def record(
        self,
        change: Callable[[dict[str, File]], dict[str, File]],
        title: str,
        message: str = "",
        author: str = "somebody",
        branch: str = "main",
        parent: str | None = None,
    ) -> str:
        """`change` applied to the newest files of the branch. Raises Moved if they are not those of `parent`."""
        with locked(self.folder):
            about = self.about
            last = about["branches"].get(branch)
            if parent and not (last or "").startswith(parent):
                raise Moved(last)
            before = _commit(about["commits"][last]).files if last else {}
            files = dict(sorted(change(before).items()))
            shown = " ".join(f"{name}:{file.sha256}" for name, file in files.items())
            id = hashlib.sha1(f"{about['id']} {len(about['commits'])} {title} {shown}".encode()).hexdigest()
            date = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            about["commits"][id] = asdict(Commit(id, title, message, author, date, last, files))
            about["branches"][branch] = id
            self.write(about)
        return id

    def show(self, private: bool) -> None:
        """Changes who may see it, as its owner can on the page of the repository."""
        with locked(self.folder):
            self.write({**self.about, "private": private})

    def write(self, about: dict[str, Any]) -> None:
        _write(self.folder / "repository.json", json.dumps(about).encode())

    def put(self, data: bytes, lfs: bool = False) -> File:
        sha256 = hashlib.sha256(data).hexdigest()
        _write(self.folder / ("lfs" if lfs else "blobs") / sha256, data)
        oid = git_oid(pointer(sha256, len(data)) if lfs else data)
        return File(sha256, len(data), oid, lfs)

    def linked(self, sha256: str) -> File:
        """The file whose content is in LFS. Raises Missing."""
        path = self.folder / "lfs" / sha256
        if not path.is_file():
            raise Missing(sha256)
        size = path.stat().st_size
        return File(sha256, size, git_oid(pointer(sha256, size)), lfs=True)

    def _stored_all(self, files: Mapping[str, bytes]) -> dict[str, File]:
        return {name: self.put(data, self._is_lfs(name, data)) for name, data in files.items()}

    def _is_lfs(self, name: str, data: bytes) -> bool:
        return goes_to_lfs(name, len(data), data[:SAMPLE], ATTRIBUTES.decode(), self.most_regular)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One at a time, among threads and processes."""
    with (folder / ".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _commit(told: dict[str, Any]) -> Commit:
    files = {name: File(**file) for name, file in told["files"].items()}
    return Commit(**{**told, "files": files})


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}")
    unfinished.write_bytes(data)
    unfinished.replace(path)
