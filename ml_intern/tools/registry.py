"""A tool: one typed function that an agent may call, with its class and the words a model reads.

A toolbox checks a call's arguments, carries it out, and always answers: what goes wrong is text that begins `FAILED`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from ml_intern.errors import MlInternError
from ml_intern.llm.protocol import ToolCall, ToolSpec

ToolClass = Literal["read-only", "workspace", "external", "experiment"]
_LIMIT = 12_000  # characters of one result that a model is shown


class Ended(Exception):
    """Raised by `finish` and `give_up`. `done` is False when the work was given up."""

    def __init__(self, done: bool, note: str) -> None:
        super().__init__(note)
        self.done, self.note = done, note


@dataclass(frozen=True)
class Tool:
    """`run` takes a checked `arguments` model and returns text; MlInternError becomes a FAILED result. `repeatable`:
    carried out twice, it leaves what it leaves when carried out once."""

    name: str
    description: str
    kind: ToolClass
    arguments: type[BaseModel]
    run: Callable[[Any], str]
    repeatable: bool = False


class Toolbox:
    """The tools of one context. `files` gives path to hash of the workspace that they act on."""

    def __init__(self, tools: Iterable[Tool], files: Callable[[], Mapping[str, str]] = dict) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self.files = files

    def specs(self) -> tuple[ToolSpec, ...]:
        return tuple(
            ToolSpec(name=tool.name, description=tool.description, parameters=tool.arguments.model_json_schema())
            for tool in self._tools.values()
        )

    def kind(self, name: str) -> ToolClass:
        return self._tools[name].kind if name in self._tools else "read-only"

    def repeatable(self, name: str) -> bool:
        """Whether a call that a crash cut off may simply be made again: it only looks, the laboratory knows its runs by
        their ids, or the tool says so."""
        tool = self._tools.get(name)
        return tool is None or tool.repeatable or tool.kind in ("read-only", "experiment")

    def carry_out(self, call: ToolCall) -> str:
        """The result as text. Only `Ended` passes through."""
        tool = self._tools.get(call.name)
        if tool is None:
            return f"FAILED: there is no tool {call.name!r}; there are {', '.join(self._tools)}."
        try:
            arguments = tool.arguments.model_validate_json(call.arguments or "{}")
        except ValidationError as error:
            problems = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors())
            return f"FAILED: the arguments of {call.name} are not valid: {problems}"
        try:
            return bounded(tool.run(arguments))
        except MlInternError as error:
            return bounded(f"FAILED: {error}")
        except OSError as error:
            return f"FAILED: {error.strerror or error}"
        except UnicodeError as error:
            return f"FAILED: the text is no valid Unicode: {error.reason if hasattr(error, 'reason') else error}"


def bounded(text: str, limit: int = _LIMIT) -> str:
    """Head and tail of a long text, with what was left out named between them."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters left out …\n{text[-half:]}"


def fenced(kind: str, text: str) -> str:
    """Untrusted `text` between marks that it cannot close: material for a model, never instructions."""
    inside = re.sub(rf"</?{kind}\b", lambda match: match[0].replace("<", "‹"), text, flags=re.IGNORECASE)
    return f"<{kind}>\n{inside}\n</{kind}>"
