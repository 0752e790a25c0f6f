"""From what a server gave to a `Reply`: thoughts apart, calls in text found, cut calls left out, ids made unique."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ml_intern.llm.nearly_json import is_too_deep
from ml_intern.llm.protocol import Finish, Reply, Request, ToolCall, ToolSpec, Usage
from ml_intern.llm.stream import REPEATS, CallDraft, Draft
from ml_intern.llm.text_calls import as_calls, takes_nameless, text_calls, with_text_calls
from ml_intern.llm.thinking import split_thoughts

_MOST_CALLS = 50  # of one reply: between two replies the harness looks for circles, and a person may say stop
_TOO_DEEP = '"(left out: it was nested too deeply)"'
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_FINISHES: dict[str, Finish] = {
    "length": "length",
    REPEATS: "length",
    "max_tokens": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}


def reply_of(draft: Draft, request: Request, usage: Usage, model: str) -> Reply:
    thoughts, content = split_thoughts(_whole(draft.content))
    reasoning = "\n".join(part for part in (_whole(draft.reasoning).strip(), thoughts) if part)
    if request.answer_schema is not None and not content.strip() and _is_object(reasoning):
        reasoning, content = "", reasoning  # some servers take the whole answer of a thinking model for a thought
    finish = _FINISHES.get(draft.finish, "stop")
    reply = Reply(content=content, reasoning=reasoning, usage=usage, finish=finish, model=model)
    calls = tuple(_sane(call) for call in draft.calls if call.name)
    if finish == "length":
        reply = _without_the_cut_call(reply, calls, draft.calls, request.tools)
    else:
        reply = _with_text_calls(reply.model_copy(update={"tool_calls": calls}), request.tools)
    if len(reply.tool_calls) > _MOST_CALLS:
        held = len(reply.tool_calls)
        problem = f"The reply held {held} calls; the first {_MOST_CALLS} were carried out, the rest not."
        reply = reply.model_copy(update={"tool_calls": reply.tool_calls[:_MOST_CALLS], "problem": problem})
    reply = reply.model_copy(update={"tool_calls": _with_ids(reply.tool_calls, request)})
    if draft.finish == REPEATS:
        reply = reply.model_copy(update={"problem": "The reply said the same again and again, and was cut there."})
    if not reply.problem:
        reply = reply.model_copy(update={"problem": _problem(reply, request)})
    if reply.tool_calls and reply.finish == "stop":
        reply = reply.model_copy(update={"finish": "tool_calls"})
    return reply


def _sane(call: CallDraft) -> ToolCall:
    """As it can be sent back: a server refuses a whole conversation for a name that no tool could have."""
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", call.name)[:64]
    arguments = _TOO_DEEP if is_too_deep(call.arguments) else _whole(call.arguments or "{}")
    return ToolCall(id=_CONTROLS.sub("", _whole(call.id)), name=name, arguments=arguments)


def _whole(text: str) -> str:
    """Without halves of surrogate pairs, which no request and no file can hold."""
    return text.encode("utf-8", "replace").decode()


def _with_text_calls(reply: Reply, tools: Sequence[ToolSpec]) -> Reply:
    return with_text_calls(reply, [tool.name for tool in tools], takes_nameless(tools))


def _without_the_cut_call(
    reply: Reply, calls: tuple[ToolCall, ...], drafts: Sequence[CallDraft], tools: Sequence[ToolSpec]
) -> Reply:
    """Half a call is never mended into a whole one: it could write half a file."""
    if calls:
        if _is_object(drafts[-1].arguments):
            return reply.model_copy(update={"tool_calls": calls, "problem": _cut("")})
        kept = calls[:-1] if drafts[-1].name else calls
        return reply.model_copy(update={"tool_calls": kept, "problem": _cut(drafts[-1].name)})
    found = text_calls(reply.content, [tool.name for tool in tools], takes_nameless(tools))
    whole = found if not found or found[-1].closed else found[:-1]
    cut = found[-1].name if len(whole) < len(found) else ""
    return reply.model_copy(update={"tool_calls": as_calls(whole), "problem": _cut(cut)})


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
    except (ValueError, RecursionError):
        return False
