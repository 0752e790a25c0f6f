"""Lines typed on the terminal of a run: an answer where one is waited for, else a message to the run.

No message is read before the plan is approved.
"""

from __future__ import annotations

import contextlib
import errno
import os
import queue
import select
import sys
import threading
from collections.abc import Callable, Iterator

import typer

from ml_intern.read.show import printable
from ml_intern.session.events import Event
from ml_intern.ui.live import View

HINT = "Enter: say something to the run. Ctrl-C: stop; it can be resumed."
_LOOK = 0.3  # seconds


class Keyboard:
    """Hears events: once the experiments begin, the question about the plan is answered, and lines are read from `fd`
    and given to `say`, one by one. Without a terminal it does nothing. It is the run's `Person`: while a `line` is
    waited for, what is typed goes there and nowhere else. `view` draws on the same terminal: it is paused from what is
    shown to the person until that is decided."""

    def __init__(self, say: Callable[[str], object], view: View, fd: int | None = None) -> None:
        self._say, self._view = say, view
        self._asking = contextlib.ExitStack()
        self._fd = _terminal() if fd is None else fd
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._wanted: queue.SimpleQueue[str] | None = None

    def __call__(self, event: Event) -> None:
        if event.type in ("approval", "question"):
            self._asking.close()
        begins = event.type == "phase.started" and event.data["phase"] == "experiments"
        if begins and self._fd >= 0 and self._thread is None:
            self._thread = threading.Thread(target=self._listen, daemon=True)
            self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._asking.close()

    @property
    def has_terminal(self) -> bool:
        return self._fd >= 0

    def is_there(self) -> bool:
        """Not in the background, and not once the terminal is gone."""
        gone = self._ended.is_set() or (self._thread is not None and not self._thread.is_alive())
        return self._fd >= 0 and not gone and _in_front(self._fd)

    def show(self, text: str) -> None:
        self._asking.enter_context(self._view.paused())
        typer.echo(text, err=True)

    def line(self, stop: threading.Event) -> str | None:
        """The next line that is typed from now on; None where nobody can type any more, or `stop` was set."""
        if self._thread is None:  # before the experiments nobody else reads
            return next(self._lines(stop), None) if self._fd >= 0 else None
        self._wanted = queue.SimpleQueue()
        try:
            while not stop.is_set():
                try:
                    return self._wanted.get(timeout=_LOOK)
                except queue.Empty:
                    if not self._thread.is_alive():
                        return None
            return None
        finally:
            self._wanted = None

    def _listen(self) -> None:
        """Enter alone wipes the view away until the next line: there is room to type, and what is typed can be seen."""
        with contextlib.ExitStack() as room:
            has_room = False
            for line in self._lines(self._ended):
                if (wanted := self._wanted) is not None:
                    wanted.put(line)
                elif has_room:
                    self._hear(line)
                elif not line:
                    room.enter_context(self._view.paused(below=1))
                    typer.echo("Say to the run: ", nl=False, err=True)
                    has_room = True
                    continue
                else:
                    with self._view.paused(below=1) as wiped:
                        if wiped:  # with what was typed there
                            typer.echo(f"You: {printable(line)}", err=True)
                    self._hear(line)
                room.close()
                has_room = False

    def _hear(self, line: str) -> None:
        if line:
            self._say(line)

    def _lines(self, ended: threading.Event) -> Iterator[str]:
        """Reads the descriptor itself: a thread that waits in `sys.stdin` would hold up the end of the process."""
        rest = b""
        while not ended.is_set():
            try:
                if not select.select([self._fd], [], [], _LOOK)[0] or not _in_front(self._fd):
                    ended.wait(_LOOK)
                    continue
                piece = os.read(self._fd, 4096)
            except OSError:
                return
            if not piece:
                return
            *lines, rest = (rest + piece).split(b"\n")
            yield from (line.decode(errors="replace").strip() for line in lines)


def _terminal() -> int:
    try:
        return sys.stdin.fileno() if sys.stdin.isatty() else -1
    except (AttributeError, OSError, ValueError):  # closed, or no file at all
        return -1


def _in_front(fd: int) -> bool:
    """Whether this process may read: one in the background would be stopped for it."""
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError as error:  # no job control at a terminal that does not control this process; else it is gone
        return error.errno == errno.ENOTTY and os.isatty(fd)
