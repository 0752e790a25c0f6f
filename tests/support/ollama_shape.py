"""A scripted answer in the shape of Ollama's chat API: one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def ollama_lines(body: dict[str, Any], answer: Any) -> Iterator[str]:
    if answer.reasoning:
        yield _line(body, {"thinking": answer.reasoning, "content": ""})
    for start in range(0, len(answer.text), 5):
        yield _line(body, {"content": answer.text[start : start + 5]})
    if answer.calls:
        calls = [{"function": {"name": name, "arguments": json.loads(given)}} for name, given in answer.calls]
        yield _line(body, {"content": "", "tool_calls": calls})
    inward, outward = answer.usage or (0, 0)
    end = {"done": True, "done_reason": answer.finish or "stop", "prompt_eval_count": inward, "eval_count": outward}
    yield _line(body, {"content": ""}, **end)


def _line(body: dict[str, Any], message: dict[str, Any], **more: Any) -> str:
    head = {"model": body["model"], "created_at": "2026-11-25T00:00:00Z", "done": False}
    return json.dumps({**head, "message": {"role": "assistant", **message}, **more}) + "\n"
