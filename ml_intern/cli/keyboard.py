"""Lines typed on the terminal of a run, as messages to it. Nothing is read before the plan is approved."""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Callable

from ml_intern.session.events import Event

_LOOK = 0.3  # seconds


class Keyboard:
    """Hears events: once the experiments begin, the question about the plan is answered, and lines are read from `fd`
    and given to `say`, one by one. Without a terminal it does nothing."""

    def __init__(self, say: Callable[[str], object], fd: int | None = None) -> None:
        self._say = say
        self._fd = _terminal() if fd is None else fd
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def __call__(self, event: Event) -> None:
        begins = event.type == "phase.started" and event.data["phase"] == "experiments"
        if begins and self._fd >= 0 and self._thread is None:
            self._thread = threading.Thread(target=self._listen, daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._ended.set()

    def _listen(self) -> None:
        """Reads the descriptor itself: a thread that waits in `sys.stdin` would hold up the end of the process."""
        rest = b""
        while not self._ended.is_set():
            try:
                if not select.select([self._fd], [], [], _LOOK)[0] or not _in_front(self._fd):
                    self._ended.wait(_LOOK)
                    continue
                piece = os.read(self._fd, 4096)
            except OSError:
                return
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                if words := line.decode(errors="replace").strip():
                    self._say(words)


def _terminal() -> int:
    try:
        return sys.stdin.fileno() if sys.stdin.isatty() else -1
    except (AttributeError, OSError, ValueError):  # closed, or no file at all
        return -1


def _in_front(fd: int) -> bool:
    """Whether this process may read: one in the background would be stopped for it."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:
        return False
