"""AGENTS.md of the working directory: what a person prefers, read once, when a session is made."""

from __future__ import annotations

import os
import stat
from pathlib import Path

_NAME = "AGENTS.md"
_LONGEST = 20_000  # bytes


def read_instructions(folder: Path) -> tuple[str, str]:
    """(its text, what a person should know of how it was read); empty where there is none. A link out of `folder` and
    what is no regular file are passed over, what is long is cut."""
    path = folder / _NAME
    if not path.is_symlink() and not path.exists():
        return "", ""
    real = path.resolve()
    if not real.is_relative_to(folder.resolve()):
        return "", f"{_NAME} was not read: it leads out of the folder."
    try:
        handle = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return "", f"{_NAME} was not read: it is no regular file."
            content = file.read(_LONGEST + 1)
    except OSError as error:
        return "", f"{_NAME} was not read: {error.strerror}."
    text = content[:_LONGEST].decode(errors="replace").strip()
    if not text:
        return "", ""
    cut = f" Only its first {_LONGEST} bytes." if len(content) > _LONGEST else ""
    return text, f"{_NAME} of this folder goes to the model, as preferences (--no-instructions: not).{cut}"
