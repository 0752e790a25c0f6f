"""What was fetched, read-only and addressed by content: fetched once, checked each time it is handed out."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from ml_intern.errors import RunError

_CHUNK = 1 << 20


class Store:
    """`root`/objects/DIGEST holds the files of one thing, `root`/known/KEY.json which digest a key has."""

    def __init__(self, root: Path) -> None:
        self._objects, self._known = root / "objects", root / "known"

    def get(self, key: str, fill: Callable[[Path], None]) -> tuple[Path, str]:
        """(folder, digest) of what `key` names; where it is not at hand, or no longer what it was, `fill` lays it out
        in an empty folder. Raises what `fill` raises, and RunError where it cannot be kept."""
        known = self._known / f"{hashlib.sha256(key.encode()).hexdigest()}.json"
        digest = _read_digest(known)
        if digest and _is_intact(self._objects / digest):
            return self._objects / digest, digest
        try:
            return self._fetch(key, known, fill)
        except OSError as error:
            raise RunError(f"{key} could not be kept.", str(error), "Free disk space, or check its rights.") from None

    def _fetch(self, key: str, known: Path, fill: Callable[[Path], None]) -> tuple[Path, str]:
        self._objects.mkdir(parents=True, exist_ok=True)
        self._known.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".draft-", dir=self._objects))
        try:
            fill(draft)
            _only_plain_files(draft)
            digest = digest_of(draft)
            _make_read_only(draft)
            target = self._objects / digest
            if target.exists() and not _is_intact(target):  # somebody changed it: what was fetched now is right
                remove(target)
            if not target.exists():
                draft.rename(target)
        finally:
            remove(draft)
        note = known.with_suffix(f".{os.getpid()}")
        note.write_text(json.dumps({"key": key, "digest": digest}))
        note.replace(known)
        return target, digest


def digest_of(folder: Path) -> str:
    """sha256 over names and contents of all files beneath `folder`."""
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if not path.is_dir() or path.is_symlink()):
        total.update(f"{path.relative_to(folder)}\0{_content(path)}\n".encode())
    return total.hexdigest()


def remove(folder: Path) -> None:
    """Deletes a read-only folder, whatever its modes are; nothing where there is none."""
    if folder.exists():
        folder.chmod(0o755)
        for parent, names, _ in os.walk(folder):
            for path in (Path(parent, name) for name in names):
                if not path.is_symlink():
                    path.chmod(0o755)
        shutil.rmtree(folder)


def _is_intact(folder: Path) -> bool:
    """Whether it holds what its name says. One that cannot be read (in tier B a script can change modes) does not."""
    try:
        return folder.is_dir() and digest_of(folder) == folder.name
    except OSError:
        return False


def _content(path: Path) -> str:
    if path.is_symlink() or not path.is_file():
        return "no plain file"
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
    return hashed.hexdigest()


def _only_plain_files(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise RunError(f"What was fetched holds {path.name}, which is no plain file.")


def _make_read_only(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        path.chmod(0o555 if path.is_dir() else 0o444)
    # The folder itself can only be moved into its place while it may be written.
    folder.chmod(0o755)


def _read_digest(path: Path) -> str:
    try:
        return str(json.loads(path.read_text())["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
