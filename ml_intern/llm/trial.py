"""A short trial of a model: does it answer, call a tool, keep to a schema, stream; how fast, at what price."""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from ml_intern.errors import MlInternError, ModelError
from ml_intern.llm.gateway import LitellmModel
from ml_intern.llm.nearly_json import mended_json
from ml_intern.llm.protocol import Delta, Message, Reply, Request, ToolSpec, Usage
from ml_intern.llm.text_calls import TEXT_ID
from ml_intern.resources import render_prompt

_ADD = ToolSpec(
    name="add",
    description="Adds two whole numbers.",
    parameters={
        "type": "object",
        "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
        "required": ["a", "b"],
        "additionalProperties": False,
    },
)
_CAPITAL = {
    "type": "object",
    "properties": {"capital": {"type": "string"}},
    "required": ["capital"],
    "additionalProperties": False,
}


class Trial(BaseModel):
    """What came of it. `tools`: how the call came. `problems`: what does not work, each with what to do."""

    model_config = ConfigDict(frozen=True)

    model: str
    works: bool
    tools: str
    answer: str
    streamed: bool
    first_token_seconds: float | None
    seconds: float
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_usd: float | None
    pricing: str
    context_tokens: int | None
    problems: tuple[str, ...]


@dataclass
class _Clock:
    """When the first piece of a reply came, and how many did."""

    began: float = 0.0
    first: float | None = None
    pieces: int = 0
    usages: list[Usage] = field(default_factory=list)

    def hear(self, delta: Delta) -> None:
        if delta.kind == "again":
            return
        self.pieces += 1
        if self.first is None:
            self.first = time.monotonic() - self.began


def try_model(model: LitellmModel) -> Trial:
    """Asks for one tool call and one structured answer. A fault is a problem in the result, never raised."""
    clock = _Clock()
    model.listener = clock.hear
    problems: list[str] = []
    model.warm_up()
    began = clock.began = time.monotonic()
    tools = _tools(model, clock, problems)
    answer = "not asked" if tools == "no answer" else _answer(model, clock, problems)
    cost: float | None = 0.0
    for usage in clock.usages:
        cost = None if cost is None or usage.cost_usd is None else cost + usage.cost_usd
    return Trial(
        model=model.id,
        works=not problems,
        tools=tools,
        answer=answer,
        streamed=clock.pieces > 1 and model.manner.stream,
        first_token_seconds=clock.first,
        seconds=time.monotonic() - began,
        input_tokens=sum(usage.input_tokens for usage in clock.usages),
        output_tokens=sum(usage.output_tokens for usage in clock.usages),
        cached_tokens=sum(usage.cached_tokens for usage in clock.usages),
        cost_usd=cost if clock.usages else None,
        pricing=model.facts.pricing,
        context_tokens=model.facts.context_tokens,
        problems=tuple(problems),
    )


def _tools(model: LitellmModel, clock: _Clock, problems: list[str]) -> str:
    a, b = random.sample(range(100, 1000), 2)
    asked = Request(messages=(Message(role="user", content=render_prompt("try_tool", a=a, b=b)),), tools=(_ADD,))
    reply = _reply(model, asked, clock, problems)
    if reply is None:
        return "no answer"
    by_text = not model.manner.tools or any(call.id.startswith(TEXT_ID) for call in reply.tool_calls)
    for call in reply.tool_calls:
        try:
            given = json.loads(call.arguments)
        except ValueError:
            given = None
        if call.name == "add" and isinstance(given, dict) and (given.get("a"), given.get("b")) == (a, b):
            return "by text" if by_text else "native"
    said = f"calls {reply.tool_calls[0].name} {reply.tool_calls[0].arguments[:100]}" if reply.tool_calls else "no call"
    problems.append(
        f"It did not call the tool as asked ({said}; it said: {reply.content.strip()[:150]!r}). "
        "A larger model may; or set tools = false in config.toml, then calls go by text."
    )
    return "wrong"


def _answer(model: LitellmModel, clock: _Clock, problems: list[str]) -> str:
    asked = Request(
        messages=(Message(role="user", content=render_prompt("try_answer", country="France")),),
        answer_name="capital",
        answer_schema=_CAPITAL,
    )
    reply = _reply(model, asked, clock, problems)
    if reply is None:
        return "no answer"
    start, end = reply.content.find("{"), reply.content.rfind("}")
    try:
        found = json.loads(mended_json(reply.content[start : end + 1]))
    except ValueError:
        found = None
    if isinstance(found, dict) and "paris" in str(found.get("capital", "")).lower():
        return "native" if model.manner.schema else "by text"
    problems.append(f"It gave no valid structured answer: {reply.content.strip()[:150]!r}. Try a larger model.")
    return "wrong"


def _reply(model: LitellmModel, request: Request, clock: _Clock, problems: list[str]) -> Reply | None:
    try:
        reply = model.complete(request)
    except ModelError as error:
        problems.append(_words(error))
        return None
    clock.usages.append(reply.usage)
    return reply


def _words(error: MlInternError) -> str:
    return " ".join(str(error).split())[:600]
