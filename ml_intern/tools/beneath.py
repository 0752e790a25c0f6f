"""Files beneath one folder, by the names that a model gives them, and in words for a model what is wrong with those: no
link is followed. Knows nothing of tools."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ml_intern.errors import InputError
from ml_intern.session.beneath import FILE, files_in, folder_beneath

_UNFINISHED = re.compile(r"\..{1,100}\.[0-9a-f]{8}\.part", re.DOTALL)


def read_beneath(root: Path, name: str, most: int, *, from_end: bool = False) -> bytes:
    """At most `most` bytes of the regular file `name`: its first ones, or its last. Raises InputError."""
    *folders, last = _parts(name)
    with _folder(root, folders, name) as parent:
        try:
            found = os.open(last, os.O_RDONLY | FILE, dir_fd=parent)
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
            made = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | FILE, 0o644, dir_fd=parent)
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
    with _folder(root, [], ".") as top:
        return sorted(name for name, _ in files_in(top))


def _parts(name: str) -> tuple[str, ...]:
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts or not pure.parts or "\0" in name:
        raise InputError(f"{name!r} is outside the workspace.", next="Give a path relative to it, without '..'.")
    return pure.parts


@contextlib.contextmanager
def _folder(root: Path, parts: list[str], name: str, *, make: bool = False) -> Iterator[int]:
    """A descriptor of the folder `parts` beneath `root`. Raises InputError."""
    with contextlib.ExitStack() as opened:
        try:
            here = opened.enter_context(folder_beneath(root, parts, make=make))
        except FileNotFoundError as error:
            if error.filename == str(root):
                raise
            raise _missing(name) from None
        except NotADirectoryError as error:
            raise _no_folder(root, Path(error.filename), name) from None
        yield here


def _require_free_or_regular(parent: int, last: str, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(last, dir_fd=parent, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            raise _is_link_or_device(name)
        if not stat.S_ISREG(mode):
            raise InputError(f"{name!r} is not a regular file.")


def _no_folder(root: Path, place: Path, name: str) -> InputError:
    if place == root:  # a command that no sandbox held may have put a link in its place
        return InputError(f"{root.name} is no folder any more.", next="Put the folder itself back.")
    if place.is_symlink():
        return _is_link_or_device(name)
    return InputError(f"{name!r} goes through {place.name!r}, which is a file.")


def _missing(name: str) -> InputError:
    return InputError(f"There is no file {name}.", next="list_files shows what there is.")


def _is_link_or_device(name: str) -> InputError:
    return InputError(f"{name!r} goes through a link.", next="Write a regular file.")
