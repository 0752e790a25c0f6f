"""The Hub's Session Trace Simple Format: a header line, then a line for each message."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ml_intern.session.export.messages import Said, messages
from ml_intern.session.export.session import Session, facts
from ml_intern.session.export.texts import compact


def trace_lines(session: Session) -> Iterator[str]:
    said = messages(session.events)
    about = facts(session, said).as_dict()
    # A reader of the format takes the first four fields and ignores the rest of a header.
    header = {"type": "session", "harness": "ml-intern", "id": session.id, "name": session.name}
    yield compact({**header, "status": session.shown_status, **about})
    for one in said:
        yield compact({"type": "message", "message": _message(one)})


def _message(said: Said) -> dict[str, Any]:
    out: dict[str, Any] = {"role": said.role, "content": said.content, "timestamp": int(said.time * 1000)}
    if said.reasoning:
        out["reasoningContent"] = said.reasoning
    if said.calls:
        out["toolCalls"] = [
            {"id": call.id, "function": {"name": call.name, "arguments": call.arguments}} for call in said.calls
        ]
    if said.role == "tool":
        out["toolCallId"] = said.call_id
    if said.role == "assistant" and said.model:
        out["model"] = said.model
    return out
