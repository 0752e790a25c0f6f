"""From what a server gave to a `Reply`: thoughts apart, calls in text found, cut calls left out, ids made unique."""

from __future__ import annotations

import json
from collections.abc import Sequence

from ml_intern.llm.protocol import Finish, Reply, Request, ToolCall, Usage
from ml_intern.llm.stream import Draft
from ml_intern.llm.text_calls import with_text_calls
from ml_intern.llm.thinking import split_thoughts

_FINISHES: dict[str, Finish] = {
    "length": "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}


def reply_of(draft: Draft, request: Request, usage: Usage, model: str) -> Reply:
    thoughts, content = split_thoughts(draft.content)
    reasoning = "\n".join(part for part in (draft.reasoning.strip(), thoughts) if part)
    if request.answer_schema is not None and not content.strip() and _is_object(reasoning):
        reasoning, content = "", reasoning  # some servers take the whole answer of a thinking model for a thought
    finish = _FINISHES.get(draft.finish, "stop")
    reply = Reply(content=content, reasoning=reasoning, usage=usage, finish=finish, model=model)
    calls = tuple(
        ToolCall(id=call.id, name=call.name, arguments=call.arguments or "{}") for call in draft.calls if call.name
    )
    names = [tool.name for tool in request.tools]
    if finish == "length":
        reply = _without_the_cut_call(reply, calls, names)
    else:
        reply = with_text_calls(reply.model_copy(update={"tool_calls": calls}), names)
    reply = reply.model_copy(update={"tool_calls": _with_ids(reply.tool_calls, request)})
    if not reply.problem:
        reply = reply.model_copy(update={"problem": _problem(reply, request)})
    if reply.tool_calls and reply.finish == "stop":
        reply = reply.model_copy(update={"finish": "tool_calls"})
    return reply


def _without_the_cut_call(reply: Reply, calls: tuple[ToolCall, ...], names: Sequence[str]) -> Reply:
    """Half a call is never mended into a whole one: it could write half a file."""
    if calls:
        if _is_object(calls[-1].arguments):
            return reply.model_copy(update={"tool_calls": calls, "problem": _cut("")})
        return reply.model_copy(update={"tool_calls": calls[:-1], "problem": _cut(calls[-1].name)})
    found = with_text_calls(reply, names)
    if not found.tool_calls:
        return reply.model_copy(update={"problem": _cut("")})
    # Of calls in text the last one is whole only where something that closes it follows.
    closed = reply.content.rstrip().endswith(("```", ">", "]"))
    kept = found.tool_calls if closed else found.tool_calls[:-1]
    return found.model_copy(update={"tool_calls": kept, "problem": _cut("" if closed else found.tool_calls[-1].name)})


def _with_ids(calls: tuple[ToolCall, ...], request: Request) -> tuple[ToolCall, ...]:
    """Every call of a conversation has an id of its own: servers that get them back insist on it."""
    taken = {call.id for message in request.messages for call in message.tool_calls}
    out = []
    for call in calls:
        id = base = call.id or "call"
        number = 1
        while id in taken:
            number += 1
            id = f"{base}-{number}"
        taken.add(id)
        out.append(call if id == call.id else call.model_copy(update={"id": id}))
    return tuple(out)


def _cut(name: str) -> str:
    what = f" in the middle of the call of {name}, which was not carried out" if name else ""
    return f"The reply was cut by the limit on its length{what}. Write less at once, in several steps."


def _problem(reply: Reply, request: Request) -> str:
    if reply.content.strip() or reply.tool_calls:
        return ""
    if reply.reasoning:
        return "The reply held thoughts and nothing else. Answer now."
    return "The reply was empty."


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
