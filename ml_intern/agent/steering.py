"""Follows what a person tells a run: words go to the model, commands and settings change the run before its next call.

Each message is logged with its id before it counts as taken. Knows nothing of where messages come from.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from ml_intern.errors import MlInternError
from ml_intern.resources import render_prompt
from ml_intern.session.inbox import Inbox, Told, heard
from ml_intern.tools.registry import fenced

if TYPE_CHECKING:
    from ml_intern.agent.context import Context
    from ml_intern.llm.protocol import LLM

_LOOK = 0.3  # seconds between two looks into the inbox
_LIMITS = {"max_iterations": "iterations", "budget_usd": "usd", "time_limit": "seconds"}
_ONE_FOR_ALL = {"planner_model": "", "executor_model": ""}  # the new model plans and writes
_NAMES = {
    "max_iterations": "model calls at most",
    "budget_usd": "dollars at most",
    "time_limit": "seconds at most",
    "model": "the model",
}


class Steering:
    """One process's hold on the inbox. `open_model` gives the model of an id. A stop or pause that was put before this
    process began was meant for another, and is not followed."""

    def __init__(self, inbox: Inbox, open_model: Callable[[str], LLM]) -> None:
        self._inbox, self._open_model = inbox, open_model
        self._since = time.time()
        self._taken: set[str] | None = None
        self._lock = threading.RLock()
        self._paused = False

    def heed(self, context: Context) -> None:
        """Follows commands and settings; returns when the run may go on, or has been told to stop."""
        self._follow(context)
        began = time.monotonic()
        while self._paused and not context.stop.wait(_LOOK):
            self._follow(context)
        if (seconds := time.monotonic() - began) > _LOOK:
            context.emit("note", text=f"The run was paused for {seconds:.0f} s.", paused=seconds)

    def words(self, context: Context, purpose: str) -> list[str]:
        """What the model is to hear now, logged as said in the conversation `purpose`."""
        said = []
        for told in self._waiting(context):
            if told.words:
                text = render_prompt("told", words=fenced("person", told.words))
                self._take(context, told, "conversation.told", purpose=purpose, text=text)
                said.append(text)
        return said

    def unheard(self, context: Context) -> int:
        """How many messages wait."""
        return len(self._waiting(context))

    def spoken(self, context: Context) -> int:
        """How many of them are words."""
        return sum(bool(told.words) for told in self._waiting(context))

    @contextlib.contextmanager
    def watching(self, context: Context) -> Iterator[None]:
        """Inside, a stop is followed at once, also where no model is asked for a long time."""
        ended = threading.Event()

        def watch() -> None:
            while not ended.wait(_LOOK):
                with contextlib.suppress(MlInternError):  # a log that cannot be written ends the run itself
                    self._stops(context)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _stops(self, context: Context) -> None:
        for told in self._waiting(context):
            if told.command == "stop":
                self._command(context, told)

    def _follow(self, context: Context) -> None:
        for told in self._waiting(context):
            if told.command:
                self._command(context, told)
            elif told.settings:
                self._set(context, told)

    def _command(self, context: Context, told: Told) -> None:
        with self._lock:
            if told.id in self._known(context):
                return
            if told.time < self._since and told.command != "go-on":
                text = f"A {told.command} was not followed: it was said before the run was taken up again."
                self._take(context, told, "note", text=text)
                return
            self._take(context, told, "note", text=f"A person told the run: {told.command}.")
            self._paused = {"pause": True, "go-on": False}.get(told.command or "", self._paused)
            if told.command == "stop":
                context.stop.set()

    def _set(self, context: Context, told: Told) -> None:
        """Settings that do not fit are noted, and change nothing."""
        settings = told.settings
        try:
            if unknown := settings.keys() - _NAMES.keys():
                raise ValueError(f"there is no setting {min(unknown)}")
            model = self._open_model(settings["model"]) if "model" in settings else None
            limits = context.budget.limits.model_dump()
            limits |= {_LIMITS[name]: value for name, value in settings.items() if name in _LIMITS}
            checked = type(context.budget.limits).model_validate(limits)
        except (MlInternError, ValueError) as error:
            why = str(error).splitlines()[0]
            self._take(context, told, "note", text=f"New settings were not followed: {why}")
            return
        said = ", ".join(f"{_NAMES[name]}: {value}" for name, value in settings.items())
        changed = settings | (_ONE_FOR_ALL if model is not None else {})
        self._take(context, told, "note", text=f"A person changed the settings: {said}.", settings=changed)
        context.budget.limits = checked
        if model is not None:
            context.model, context.planner = model, None

    def _waiting(self, context: Context) -> list[Told]:
        with self._lock:
            return list(self._inbox.waiting(self._known(context)))

    def _known(self, context: Context) -> set[str]:
        """Ids that the log has; the files of an earlier process's are removed."""
        if self._taken is None:
            self._taken = heard(context.log.events)
            self._inbox.clear(self._taken)
        return self._taken

    def _take(self, context: Context, told: Told, type: Any, **data: Any) -> None:
        """The log first, then the file: a crash in between is seen from the log."""
        with self._lock:
            context.emit(type, **data, inbox=told.id)
            self._known(context).add(told.id)
            self._inbox.clear({told.id})
