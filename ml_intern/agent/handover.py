"""What code itself knows of a work's past when the conversation is cut away, so that no summary has to be believed:
the files as they are, and the calls that failed and have not worked since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pydantic import BaseModel, ConfigDict

from ml_intern.agent.failure import is_masked
from ml_intern.agent.shell_work import command_in, only_shows
from ml_intern.session.events import Event
from ml_intern.tools.registry import fenced

_FILES, _FAILURES, _CHARS = 60, 3, 600


class Handover(BaseModel):
    """`files`: their names; `failures`: the latest open ones, fenced, empty where there are none."""

    model_config = ConfigDict(frozen=True)

    files: tuple[str, ...] = ()
    failures: str = ""


def handover(events: Iterable[Event], purpose: str, files: Mapping[str, str]) -> Handover:
    """From the session's log and the files as they are now."""
    names = [name.partition("/")[2] or name for name in sorted(files)]
    shown = names[:_FILES] + ([f"{len(names) - _FILES} more"] if len(names) > _FILES else [])
    failures = "\n\n".join(open_failures(events, purpose)[-_FAILURES:])
    return Handover(files=tuple(shown), failures=fenced("output", failures) if failures else "")


def open_failures(events: Iterable[Event], purpose: str) -> list[str]:
    """The last failure of each tool that has not worked since, the latest last."""
    found: dict[str, str] = {}
    command = ""
    for event in events:
        if event.data.get("purpose") != purpose:
            continue
        if event.type == "conversation.started":
            found = {}
        elif event.type == "tool.intent":
            command = command_in(event.data["arguments"])
        elif event.type == "tool.result":
            name, result = event.data["name"], event.data["result"]
            found.pop(name, None)
            if event.data["failed"] or (is_masked(result) and not only_shows(command)):
                found[name] = f"{name}: {_brief(result)}"
    return list(found.values())


def _brief(result: str) -> str:
    """The head says what failed, the end of a traceback why."""
    return result if len(result) <= _CHARS else f"{result[: _CHARS // 3]}\n…\n{result[-_CHARS * 2 // 3 :]}"
