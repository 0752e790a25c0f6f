"""A tool: one typed function that an agent may call, with its class and the words a model reads.

A toolbox checks a call's arguments, carries it out, and always answers: what goes wrong is text that begins `FAILED`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ValidationError

from ml_intern.errors import BudgetExhausted, MlInternError
from ml_intern.llm.protocol import ToolCall, ToolSpec
from ml_intern.plan.mistakes import problems
from ml_intern.settings import ToolClass as ToolClass
from ml_intern.tools.outputs import Outputs

_LIMIT = 12_000  # characters of one result that a model is shown


class Ended(Exception):
    """Raised by `finish` and `give_up`. `done` is False when the work was given up."""

    def __init__(self, done: bool, note: str) -> None:
        super().__init__(note)
        self.done, self.note = done, note


@dataclass(frozen=True)
class Tool:
    """`run` takes a checked `arguments` model and returns text; MlInternError becomes a FAILED result. `repeatable`:
    carried out twice, it leaves what it leaves when carried out once. `about`: what a call would bring, in a line for
    whoever approves it. `in_order`: not carried out after a failed
    call of the same answer, which was made without knowing of that."""

    name: str
    description: str
    kind: ToolClass
    arguments: type[BaseModel]
    run: Callable[[Any], str]
    repeatable: bool = False
    about: Callable[[Any], str] | None = None
    in_order: bool = False


class Toolbox:
    """The tools of one context. `files` gives path to hash of the workspace that they act on; `outputs` keeps what a
    model is not shown of their results."""

    def __init__(
        self, tools: Iterable[Tool], files: Callable[[], Mapping[str, str]] = dict, outputs: Outputs | None = None
    ) -> None:
        self._tools = {tool.name: tool for tool in tools}
        self.files = files
        self.outputs = outputs or Outputs()

    @cached_property
    def _specs(self) -> tuple[ToolSpec, ...]:
        return tuple(
            ToolSpec(
                name=tool.name,
                description=tool.description,
                parameters=_without_titles(tool.arguments.model_json_schema()),
            )
            for tool in self._tools.values()
        )

    def specs(self) -> tuple[ToolSpec, ...]:
        """Always the same: schemas are made once."""
        return self._specs

    def kind(self, name: str) -> ToolClass:
        return self._tools[name].kind if name in self._tools else "read-only"

    def in_order(self, name: str) -> bool:
        return name in self._tools and self._tools[name].in_order

    def repeatable(self, name: str) -> bool:
        """Whether a call that a crash cut off may simply be made again: it only looks, the laboratory knows its runs by
        their ids, or the tool says so."""
        tool = self._tools.get(name)
        return tool is None or tool.repeatable or tool.kind in ("read-only", "experiment")

    def arguments(self, call: ToolCall) -> BaseModel | None:
        """What the tool would get; None where there is no such tool, or the arguments are not its own."""
        try:
            return self._tools[call.name].arguments.model_validate_json(call.arguments or "{}")
        except (KeyError, ValidationError):
            return None

    def about(self, call: ToolCall) -> str:
        """What a call would bring, for whoever approves it; empty where its tool does not say. Only `Ended` passes."""
        tool, arguments = self._tools.get(call.name), self.arguments(call)
        if tool is None or tool.about is None or arguments is None:
            return ""
        try:
            return tool.about(arguments)
        except (MlInternError, OSError, UnicodeError) as error:
            return f"this cannot be told: {error}"

    def carry_out(self, call: ToolCall) -> str:
        """The result as text. Only `Ended` passes through, and BudgetExhausted: no other call would help."""
        tool = self._tools.get(call.name)
        if tool is None:
            return f"FAILED: there is no tool {call.name!r}; there are {', '.join(self._tools)}."
        try:
            arguments = tool.arguments.model_validate_json(call.arguments or "{}")
        except ValidationError as error:
            wrong = "; ".join(problems(error, "arguments"))[:4000]
            return f"FAILED: the arguments of {call.name} are not valid: {wrong}"
        try:
            return self._bounded(tool.run(arguments))
        except BudgetExhausted:
            raise
        except MlInternError as error:
            return self._bounded(_failed(error))
        except OSError as error:
            return f"FAILED: {error.strerror or error}"
        except UnicodeError as error:
            return f"FAILED: the text is no valid Unicode: {error.reason if hasattr(error, 'reason') else error}"

    def _bounded(self, text: str) -> str:
        """Head and tail of a long text, with what was left out named between them."""
        return self.outputs.cut(text, _LIMIT // 2, _LIMIT // 2)


def _failed(error: MlInternError) -> str:
    """In words for the model. Why it failed may be what a script printed, or a site answered: it is fenced."""
    why = f"Why:\n{fenced('output', error.why)}" if error.why else ""
    return "\n".join(part for part in (f"FAILED: {error.what}", why, error.next and f"Next: {error.next}") if part)


def _without_titles(schema: Any) -> Any:
    """A JSON schema without the titles that repeat its names: a tenth of what the tools take of every prompt."""
    if isinstance(schema, dict):
        return {
            key: _without_titles(value)
            for key, value in schema.items()
            if key != "title" or not isinstance(value, str)  # a field of that name has a schema
        }
    return [_without_titles(one) for one in schema] if isinstance(schema, list) else schema


def fenced(kind: str, text: str) -> str:
    """Untrusted `text` between marks that it cannot close: material for a model, never instructions."""
    inside = re.sub(rf"<\s*/?\s*{kind}\b", lambda match: match[0].replace("<", "‹"), text, flags=re.IGNORECASE)
    return f"<{kind}>\n{inside}\n</{kind}>"
