"""The session as Claude Code keeps its own: one JSON line a message, each with its parent, for viewers of that format.

All lines are one chain, whatever conversation they belong to, so that a viewer that follows parents shows all of them.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

from ml_intern import __version__
from ml_intern.session.export.messages import Call, Said, messages
from ml_intern.session.export.session import Session
from ml_intern.session.export.texts import compact, iso

_NAMES = uuid.UUID("6d1c7b0e-3f5a-5c52-9d0f-2b8f4a0f7c11")
_SYNTHETIC = "<synthetic>"  # the model's name in lines that the program itself wrote in the model's place


def claude_code_lines(session: Session) -> Iterator[str]:
    """Ids are made from the session's id, so that a second export has the same."""
    whole = uuid.uuid5(_NAMES, session.id)
    said = messages(session.events)
    ids = [str(uuid.uuid5(whole, str(place))) for place in range(len(said))]
    if said:
        yield compact({"type": "summary", "summary": session.name, "leafUuid": ids[-1]})
    for place, one in enumerate(said):
        frame = {
            "parentUuid": ids[place - 1] if place else None,
            "isSidechain": False,
            "userType": "external",
            "cwd": session.folder,
            "sessionId": str(whole),
            "version": __version__,
            "gitBranch": "",
            "uuid": ids[place],
            "timestamp": iso(one.time),
            "purpose": one.purpose,
        }
        yield compact({**frame, **_line(one, ids[place])})


def _line(said: Said, own: str) -> dict[str, Any]:
    if said.notice == "shortened":
        return {"type": "system", "subtype": "compact_boundary", "content": said.content, "level": "info"}
    if said.notice == "model failed":
        reply = _reply(said, own, _SYNTHETIC, [{"type": "text", "text": said.content}], "stop_sequence")
        return {"type": "assistant", "message": reply, "isApiErrorMessage": True}
    if said.role == "assistant":
        stop = "tool_use" if said.calls else "end_turn"
        return {"type": "assistant", "message": _reply(said, own, said.model or _SYNTHETIC, _blocks(said), stop)}
    if said.role == "tool":
        block = {"type": "tool_result", "tool_use_id": said.call_id, "content": said.content}
        return {"type": "user", "message": {"role": "user", "content": [{**block, "is_error": bool(said.outcome)}]}}
    if said.role == "system":
        return {"type": "system", "subtype": "informational", "content": said.content, "level": "info"}
    marks = {"summary": {"isCompactSummary": True}, "prompt unknown": {"isMeta": True}}
    return {"type": "user", "message": {"role": "user", "content": said.content}, **marks.get(said.notice, {})}


def _reply(said: Said, own: str, model: str, blocks: list[dict[str, Any]], stop: str) -> dict[str, Any]:
    return {
        "id": f"msg_{own.replace('-', '')}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": stop,
        "stop_sequence": None,
        "usage": {
            "input_tokens": said.input_tokens,
            "output_tokens": said.output_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
        },
    }


def _blocks(said: Said) -> list[dict[str, Any]]:
    thinking = [{"type": "thinking", "thinking": said.reasoning, "signature": ""}] if said.reasoning else []
    text = [{"type": "text", "text": said.content}] if said.content or not said.calls else []
    return [*thinking, *text, *(_tool_use(call) for call in said.calls)]


def _tool_use(call: Call) -> dict[str, Any]:
    """Input has to be an object; what a model wrote instead stands under `arguments`."""
    try:
        given = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError):
        given = None
    fitting = given if isinstance(given, dict) else {"arguments": call.arguments}
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": fitting}
