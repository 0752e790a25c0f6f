"""Writing so that a crash leaves the old or the new content, never half."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_whole(path: Path, content: str | bytes) -> None:
    """Through a temporary file and a rename; on disk, name and all, when it returns."""
    make_folder(path.parent)
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
    sync(path.parent)


def make_folder(folder: Path) -> None:
    """With those above it; their names are on disk when it returns."""
    if folder.is_dir():
        return
    new = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in reversed(new):
        sync(one.parent)


def sync(path: Path) -> None:
    """Makes a file's content, or the names in a folder, durable."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_tree(folder: Path) -> None:
    """Makes the files and names beneath `folder` durable; links are left as they are."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            sync(path)
    for path in (folder, *(path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink())):
        sync(path)
