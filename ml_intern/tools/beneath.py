"""Files beneath one folder, opened step by step from that folder's descriptor: no link is followed, whoever plants one
and whenever. Knows nothing of tools."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ml_intern.errors import InputError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe must not hang whoever opens it
_UNFINISHED = re.compile(r"\..{1,100}\.[0-9a-f]{8}\.part", re.DOTALL)


def read_beneath(root: Path, name: str, most: int, *, from_end: bool = False) -> bytes:
    """At most `most` bytes of the regular file `name`: its first ones, or its last. Raises InputError."""
    *folders, last = _parts(name)
    with _folder(root, folders, name) as parent:
        try:
            found = os.open(last, os.O_RDONLY | _FILE, dir_fd=parent)
        except FileNotFoundError:
            raise _missing(name) from None
        except OSError:
            raise _is_link_or_device(name) from None
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise InputError(f"{name!r} is not a regular file.", next="list_files shows what there is.")
    with os.fdopen(found, "rb") as file:
        if from_end:
            file.seek(max(0, os.fstat(found).st_size - most))
        return file.read(most)


def write_beneath(root: Path, name: str, text: str) -> None:
    """The file `name` whole or not at all, with the folders on its way. It is a new file each time: a hard link must
    not carry the content elsewhere. Raises InputError and OSError."""
    *folders, last = _parts(name)
    with _folder(root, folders, name, make=True) as parent:
        _require_free_or_regular(parent, last, name)
        part = f".{last[:100]}.{secrets.token_hex(4)}.part"
        try:
            made = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FILE, 0o644, dir_fd=parent)
            with os.fdopen(made, "w", encoding="utf-8") as file:
                file.write(text)
            os.rename(part, last, src_dir_fd=parent, dst_dir_fd=parent)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(part, dir_fd=parent)


def remove_unfinished(root: Path) -> None:
    """Takes away what `write_beneath` left where it was killed; to be called while nobody writes there."""
    with _folder(root, [], ".") as top:
        for _, _, names, parent in os.fwalk(".", dir_fd=top, follow_symlinks=False):
            for name in filter(_UNFINISHED.fullmatch, names):
                os.unlink(name, dir_fd=parent)


def files_beneath(root: Path) -> list[str]:
    """Regular files, sorted; links are not followed."""
    found = []
    with _folder(root, [], ".") as top:
        for folder, _, names, parent in os.fwalk(".", dir_fd=top, follow_symlinks=False):
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    if stat.S_ISREG(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
                        found.append(os.path.normpath(f"{folder}/{name}"))
    return sorted(found)


def _parts(name: str) -> tuple[str, ...]:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in name:
        raise InputError(f"{name!r} is outside the workspace.", next="Give a path relative to it, without '..'.")
    return pure.parts


@contextlib.contextmanager
def _folder(root: Path, parts: list[str], name: str, *, make: bool = False) -> Iterator[int]:
    """A descriptor of the folder `parts` beneath `root`. Raises InputError."""
    try:
        here = os.open(root, _FOLDER)
    except NotADirectoryError:  # a command that no sandbox held may have put a link in its place
        raise InputError(f"{root.name} is no folder any more.", next="Put the folder itself back.") from None
    try:
        for part in parts:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=here)
            try:
                inner = os.open(part, _FOLDER, dir_fd=here)
            except FileNotFoundError:
                raise _missing(name) from None
            except NotADirectoryError:
                raise _not_a_folder(here, part, name) from None
            os.close(here)
            here = inner
        yield here
    finally:
        os.close(here)


def _require_free_or_regular(parent: int, last: str, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            raise _is_link_or_device(name)
        if not stat.S_ISREG(mode):
            raise InputError(f"{name!r} is not a regular file.")


def _not_a_folder(parent: int, part: str, name: str) -> InputError:
    # A link is no folder for O_NOFOLLOW, too.
    with contextlib.suppress(OSError):
        if stat.S_ISLNK(os.stat(part, dir_fd=parent, follow_symlinks=False).st_mode):
            return _is_link_or_device(name)
    return InputError(f"{name!r} goes through {part!r}, which is a file.")


def _missing(name: str) -> InputError:
    return InputError(f"There is no file {name}.", next="list_files shows what there is.")


def _is_link_or_device(name: str) -> InputError:
    return InputError(f"{name!r} goes through a link.", next="Write a regular file.")
