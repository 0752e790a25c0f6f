"""Answers that a session has paid for already: a question that is put again after a crash gets the recorded one."""

from __future__ import annotations

import hashlib
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any

from ml_intern.errors import BudgetExhausted
from ml_intern.llm.protocol import Reply, Request, ToolCall, Usage
from ml_intern.session.events import Event


def request_digest(model: str, purpose: str, request: Request) -> str:
    """sha256 of who is asked what."""
    return hashlib.sha256(f"{model}\0{purpose}\0{request.model_dump_json()}".encode("utf-8", "replace")).hexdigest()


class RecordedReplies:
    """Of the log's events, each to be taken once, in order. What was answered before the session failed is not among
    them where the answers may be why it failed: not where the model could not be reached, or the budget was used up."""

    def __init__(self, events: Sequence[Event]) -> None:
        self._replies: dict[str, deque[Reply]] = defaultdict(deque)
        unreached = False
        for event in events:
            if event.type.startswith("model."):
                unreached = event.type == "model.failed"
            if event.type == "session.failed" and not unreached and event.data.get("code") != BudgetExhausted.exit_code:
                self._replies.clear()
            elif event.type == "model.replied" and "digest" in event.data:
                self._replies[event.data["digest"]].append(_reply(event))

    def take(self, digest: str) -> Reply | None:
        waiting = self._replies.get(digest)
        return waiting.popleft() if waiting else None


def recorded_reply(reply: Reply) -> dict[str, Any]:
    """A reply as its event holds it."""
    return {
        "content": reply.content,
        "reasoning": reply.reasoning,
        "tool_calls": [call.model_dump() for call in reply.tool_calls],
        "finish": reply.finish,
        "problem": reply.problem,
        "answered_by": reply.model,
        "input_tokens": reply.usage.input_tokens,
        "output_tokens": reply.usage.output_tokens,
        "cached_tokens": reply.usage.cached_tokens,
        "cost_usd": reply.usage.cost_usd,
    }


def _reply(event: Event) -> Reply:
    data = event.data
    usage = Usage(
        input_tokens=data["input_tokens"],
        output_tokens=data["output_tokens"],
        cached_tokens=data.get("cached_tokens", 0),
        cost_usd=data["cost_usd"],
    )
    return Reply(
        content=data["content"],
        tool_calls=tuple(ToolCall.model_validate(call) for call in data["tool_calls"]),
        usage=usage,
        reasoning=data.get("reasoning", ""),
        finish=data.get("finish", "stop"),
        problem=data.get("problem", ""),
        model=data.get("answered_by", ""),
    )
