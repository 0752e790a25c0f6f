"""Whoever reads what a command writes may go away, as `head -1` does. A run then stops as if it had been interrupted,
and nothing that can no longer be said takes the place of how it ended.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import typer

from ml_intern.errors import MlInternError, of_the_system

if TYPE_CHECKING:
    from ml_intern.session.events import Event


class Onlooker:
    """Hears events, in whatever thread, and passes them to `views`; once one of those cannot be written to any more it
    passes on nothing, and sets `stop`. `fault`: why, where it is more than that nobody reads any more."""

    fault: MlInternError | None = None

    def __init__(self, views: Sequence[Callable[[Event], None]], stop: threading.Event) -> None:
        self._views, self._stop = views, stop
        self._lost = False

    def __call__(self, event: Event) -> None:
        if self._lost:
            return
        try:
            for view in self._views:
                view(event)
        except OSError as error:
            self._lost = True
            if error.errno != errno.EPIPE:
                self.fault = of_the_system(error)
            self._stop.set()


def say(text: str) -> None:
    """A line on stderr, where anybody is still there."""
    with contextlib.suppress(OSError):
        typer.echo(text, err=True)


def let_go() -> None:
    """For the end of the process: what nobody reads any more is dropped, which Python would complain of."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):  # broken, or closed
            with contextlib.suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
