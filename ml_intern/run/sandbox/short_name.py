"""A short name for a run's folder, where sockets are to be made in it: their names may have some hundred bytes.

Processes of torch's DataLoader find each other by sockets in TMPDIR. Knows nothing of sandboxes.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import tempfile
from pathlib import Path

_MOST = 103  # bytes of a socket's name: sun_path of macOS; Linux has four more
_OF_WORKERS = len("/pymp-12345678/listener-12345678")
_NAME = re.compile(r"mi-([0-9a-f]+)-(\d+)-[0-9a-f]{8}")
_NAMED_BEFORE = re.compile(r"mi-(\d+-[0-9a-f]{8}|[0-9a-f]{16})")
_SHORTEST = "/tmp"  # noqa: S108  # a link alone lies there


class ShortName:
    """`path` leads to `folder`, which has to be absolute: itself where it is short enough, else a link that is gone
    after `close`, or, where its process was killed, once another one is made. Where none can be made the folder has its
    own name, and only such sockets fail."""

    def __init__(self, folder: Path) -> None:
        self.path, self._link = folder, None
        if len(os.fsencode(folder)) + _OF_WORKERS <= _MOST:
            return
        parent = Path(_SHORTEST if os.access(_SHORTEST, os.W_OK) else tempfile.gettempdir())
        _sweep(parent)
        link = parent / f"mi-{_namespace()}-{os.getpid()}-{secrets.token_hex(4)}"
        with contextlib.suppress(OSError):
            link.symlink_to(folder)
            self.path = self._link = link

    def close(self) -> None:
        if self._link is not None:
            self._link.unlink(missing_ok=True)


def _sweep(parent: Path) -> None:
    """Removes this user's links whose process is no more, where that can be told: one in another container, which may
    share this folder, is not seen from here."""
    for link in parent.glob("mi-*"):
        with contextlib.suppress(OSError):
            if link.is_symlink() and link.lstat().st_uid == os.geteuid() and _is_left(link):
                link.unlink()


def _is_left(link: Path) -> bool:
    if _NAMED_BEFORE.fullmatch(link.name):
        return not link.exists()
    named = _NAME.fullmatch(link.name)
    return named is not None and named[1] == _namespace() and not _lives(int(named[2]))


def _namespace() -> str:
    """What tells the processes of this machine or container from those of others, whose numbers are the same."""
    with contextlib.suppress(OSError):
        return f"{Path('/proc/self/ns/pid').stat().st_ino:x}"
    return "0"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
