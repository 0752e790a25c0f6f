"""A scripted answer in the shape of Anthropic's messages API, whole and as events of a stream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

_STOP = {"length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def anthropic_message(body: dict[str, Any], answer: Any) -> dict[str, Any]:
    return {**_head(body, answer), "content": _blocks(answer), "stop_reason": _stop(answer)}


def anthropic_events(body: dict[str, Any], answer: Any) -> Iterator[str]:
    start = {**_head(body, answer), "content": [], "stop_reason": None}
    yield _event("message_start", message=start)
    for index, block in enumerate(_blocks(answer)):
        if block["type"] == "text":
            empty, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        else:
            empty = {**block, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield _event("content_block_start", index=index, content_block=empty)
        yield _event("content_block_delta", index=index, delta=delta)
        yield _event("content_block_stop", index=index)
    usage = {"output_tokens": (answer.usage or (0, 0))[1]}
    yield _event("message_delta", delta={"stop_reason": _stop(answer), "stop_sequence": None}, usage=usage)
    yield _event("message_stop")


def _event(kind: str, **fields: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields})}\n\n"


def _head(body: dict[str, Any], answer: Any) -> dict[str, Any]:
    inward, outward = answer.usage or (0, 0)
    usage = {
        "input_tokens": inward - answer.cached,
        "cache_read_input_tokens": answer.cached,
        "cache_creation_input_tokens": 0,
        "output_tokens": outward,
    }
    return {"id": "m", "type": "message", "role": "assistant", "model": body["model"], "usage": usage}


def _blocks(answer: Any) -> list[dict[str, Any]]:
    text = [{"type": "text", "text": answer.text}] if answer.text else []
    calls = [
        {"type": "tool_use", "id": f"toolu_{place}", "name": name, "input": json.loads(arguments)}
        for place, (name, arguments) in enumerate(answer.calls)
    ]
    return text + calls


def _stop(answer: Any) -> str:
    return _STOP.get(answer.finish, "tool_use" if answer.calls else "end_turn")
