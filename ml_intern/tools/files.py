"""Files of one workspace: list, read, write. Paths stay beneath the workspace; links and devices are refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, Field

from ml_intern.errors import InputError
from ml_intern.tools.registry import Tool

_MAX_BYTES = 1_000_000


class _Write(BaseModel):
    path: str = Field(description="path within the workspace, like train.py")
    content: str


class _Read(BaseModel):
    path: str


class _Nothing(BaseModel):
    pass


def file_tools(root: Path) -> list[Tool]:
    """Tools on the files under `root`, which is made."""
    root.mkdir(parents=True, exist_ok=True)

    def write_file(arguments: _Write) -> str:
        if len(arguments.content.encode()) > _MAX_BYTES:
            raise InputError(f"{arguments.path} is larger than {_MAX_BYTES} bytes.", next="Write smaller files.")
        path = _beneath(root, arguments.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)  # a hard link must not carry the content elsewhere
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(path, flags, 0o644), "w", encoding="utf-8") as file:
            file.write(arguments.content)
        return f"{arguments.path}: {len(arguments.content)} characters written"

    def read_file(arguments: _Read) -> str:
        path = _beneath(root, arguments.path)
        if not path.exists():
            raise InputError(f"There is no file {arguments.path}.", next="list_files shows what there is.")
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
            return file.read(_MAX_BYTES).decode("utf-8", errors="replace")

    def list_files(_: _Nothing) -> str:
        names = sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())
        return "\n".join(names[:500]) or "(empty)"

    return [
        Tool("write_file", "Write a text file of the workspace, whole.", "workspace", _Write, write_file),
        Tool("read_file", "Read a text file of the workspace.", "read-only", _Read, read_file),
        Tool("list_files", "List the files of the workspace.", "read-only", _Nothing, list_files),
    ]


def _beneath(root: Path, name: str) -> Path:
    """`name` under `root`, with no step of it a link. Raises InputError."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in name:
        raise InputError(f"{name!r} is outside the workspace.", next="Give a path relative to it, without '..'.")
    path = root
    for part in pure.parts:
        path = path / part
        if path.is_symlink():
            raise InputError(f"{name!r} goes through a link.", next="Write a regular file.")
    if path.exists() and not stat.S_ISREG(path.lstat().st_mode):
        raise InputError(f"{name!r} is not a regular file.")
    return path
