"""A `Request` as the arguments of a call, in the manner that the model takes. Knows nothing of keys and retries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from ml_intern.llm.protocol import Message, Reply, Request, ToolSpec
from ml_intern.llm.text_calls import WRITER, takes_nameless, with_text_calls
from ml_intern.resources import render_prompt

_NOT_TAKEN = r"support|enable|requires? -|unrecognized|unknown|not permitted|not allowed|unexpected|not implemented"
_TOOLS = re.compile(r"\btools?\b|tool[ _-]?(use|choice|call)|function[ _-]?call", re.IGNORECASE)
_SCHEMA = re.compile(r"response_format|json_schema|json[ _]mode|structured output|guided|grammar", re.IGNORECASE)
_EFFORT = re.compile(r"\b(reasoning[_ .]?)?effort\b|\breasoning\b|\bthinking\b", re.IGNORECASE)
_STREAM = re.compile(r"\bstream(ing)?\b", re.IGNORECASE)


@dataclass(frozen=True)
class Manner:
    """What a model takes beside messages. What it does not take is said in words (tools, schema) or left out."""

    tools: bool = True
    schema: bool = True
    stream: bool = True
    usage: bool = True
    effort: bool = True

    def without(self, message: str, request: Request) -> Manner | None:
        """The manner to try next where a server refused with `message`; None where that is not what it refused."""
        if not re.search(_NOT_TAKEN, message, re.IGNORECASE):
            return None
        if self.stream and self.usage and "stream_options" in message:
            return replace(self, usage=False)
        if self.schema and request.answer_schema is not None and _SCHEMA.search(message):
            return replace(self, schema=False)
        if self.tools and request.tools and _TOOLS.search(message):
            return replace(self, tools=False)
        if self.stream and _STREAM.search(message):
            return replace(self, stream=False)
        if self.effort and _EFFORT.search(message):
            return replace(self, effort=False)
        return None


def arguments(request: Request, manner: Manner, cache_marks: bool = False) -> dict[str, Any]:
    """What `litellm.completion` is given of a request. `cache_marks`: put where a provider is to cache the prompt."""
    out: dict[str, Any] = {}
    messages = [
        _said(message) for message in request.messages if message.content or message.tool_calls or _answers(message)
    ]
    before = []
    if request.tools and manner.tools:
        out["tools"] = [{"type": "function", "function": tool.model_dump()} for tool in request.tools]
    elif request.tools:
        # Who is asked for one file is told how to write it by the question: a small model takes the other way of two.
        if not takes_nameless(request.tools):
            writes = any(tool.name == WRITER for tool in request.tools)
            before.append(render_prompt("tools", tools=[tool.model_dump() for tool in request.tools], writes=writes))
        messages = _in_words(messages, request.tools)
    if request.answer_schema is not None and manner.schema:
        schema = {"name": request.answer_name, "schema": request.answer_schema}
        out["response_format"] = {"type": "json_schema", "json_schema": schema}
    elif request.answer_schema is not None:
        before.append(render_prompt("schema", schema=request.answer_schema))
    if before and messages:
        # In front of the first message, not as a system message: some templates know no system.
        first = messages[0].model_copy(update={"content": "\n\n".join([*before, messages[0].content])})
        messages = [first, *messages[1:]]
    out["messages"] = [_message(message) for message in messages]
    if cache_marks and (request.tools or len(messages) > 1):
        _mark(out["messages"])
    if manner.stream:
        out["stream"] = True
        if manner.usage:
            out["stream_options"] = {"include_usage": True}
    return out


def _answers(message: Message) -> bool:
    return message.role == "tool"


def _said(message: Message) -> Message:
    """A result without a word is one, too: a call that nobody answers makes servers refuse the conversation."""
    return message.model_copy(update={"content": "(empty)"}) if _answers(message) and not message.content else message


def _in_words(messages: Sequence[Message], tools: Sequence[ToolSpec]) -> list[Message]:
    """Calls as the blocks that they would be written as, results as what the user says."""
    out: list[Message] = []
    names: dict[str, str] = {}
    for message in messages:
        names |= {call.id: call.name for call in message.tool_calls}
        if message.role == "tool":
            told = render_prompt("tool_result", tool=names.get(message.tool_call_id, "a tool"), text=message.content)
            if out and out[-1].role == "user" and len(out) > 1:
                told = f"{out.pop().content}\n\n{told}"
            out.append(Message(role="user", content=told))
        elif message.tool_calls:
            out.append(Message(role="assistant", content=_with_blocks(message, tools)))
        else:
            out.append(message)
    return out


def _with_blocks(message: Message, tools: Sequence[ToolSpec]) -> str:
    names = [tool.name for tool in tools]
    written = with_text_calls(Reply(content=message.content), names, takes_nameless(tools)).tool_calls
    if len(written) >= len(message.tool_calls):
        return message.content  # the calls were read out of this very text
    blocks = [
        f'```json\n{{"name": "{call.name}", "arguments": {call.arguments or "{}"}}}\n```' for call in message.tool_calls
    ]
    return "\n\n".join(part for part in (message.content, *blocks) if part)


def _message(message: Message) -> dict[str, Any]:
    out: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        out["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.role == "tool":
        out["tool_call_id"] = message.tool_call_id
    return out


def _mark(messages: list[dict[str, Any]]) -> None:
    """The beginning, which stays (tools stand before it), and the end, up to which the next turn is the same."""
    for place in {0, len(messages) - 1}:
        message = messages[place]
        mark = {"type": "ephemeral"}
        if message["role"] == "tool":
            message["cache_control"] = mark
        elif message["content"]:
            message["content"] = [{"type": "text", "text": message["content"], "cache_control": mark}]
