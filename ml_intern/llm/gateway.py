"""Any model that litellm reaches. The only file that imports litellm."""

from __future__ import annotations

import os
from typing import Any

from ml_intern.errors import ModelError
from ml_intern.llm.protocol import Message, Reply, Request, ToolCall, Usage
from ml_intern.llm.text_calls import with_text_calls

_CHARS_PER_TOKEN = 3  # on the safe side for English and code
_DEFAULT_CONTEXT_TOKENS = 32_000


class LitellmModel:
    """A litellm model id (`openai/…`, `anthropic/…`, `ollama_chat/…`); keys and base URLs come from the environment
    variables that litellm documents."""

    def __init__(self, model: str) -> None:
        self._model = model

    @property
    def id(self) -> str:
        return self._model

    @property
    def context_chars(self) -> int:
        litellm = _litellm()
        try:
            tokens = litellm.get_model_info(self._model).get("max_input_tokens") or _DEFAULT_CONTEXT_TOKENS
        except Exception:  # litellm raises a bare Exception for a model that it does not list
            tokens = _DEFAULT_CONTEXT_TOKENS
        return int(tokens) * _CHARS_PER_TOKEN // 2

    def complete(self, request: Request) -> Reply:
        litellm = _litellm()
        arguments: dict[str, Any] = {"model": self._model, "messages": [_message(m) for m in request.messages]}
        if request.tools:
            arguments["tools"] = [{"type": "function", "function": tool.model_dump()} for tool in request.tools]
        if request.answer_schema is not None:
            arguments["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": request.answer_name, "schema": request.answer_schema},
            }
        try:
            response = litellm.completion(**arguments, num_retries=2)
        except Exception as error:  # every provider's errors come through here, under many names
            raise ModelError(
                f"The model {self._model} did not answer.",
                f"{type(error).__name__}: {error}"[:2000],
                "Check the model id, its key and its base URL; or use --model recipes, which needs none.",
            ) from error
        message = response.choices[0].message
        calls = tuple(
            ToolCall(id=call.id, name=call.function.name or "", arguments=call.function.arguments or "{}")
            for call in (message.tool_calls or [])
        )
        reply = Reply(content=message.content or "", tool_calls=calls, usage=self._usage(litellm, response))
        return with_text_calls(reply, [tool.name for tool in request.tools])

    def _usage(self, litellm: Any, response: Any) -> Usage:
        usage = getattr(response, "usage", None)
        try:
            cost: float | None = litellm.completion_cost(completion_response=response, model=self._model) or None
        except Exception:  # an unknown model: the price is unknown, not zero
            cost = None
        return Usage(
            input_tokens=getattr(usage, "prompt_tokens", 0) or 0,
            output_tokens=getattr(usage, "completion_tokens", 0) or 0,
            cost_usd=cost,
        )


def _litellm() -> Any:
    # Both must be set before the import: it would fetch a price list and load a .env file otherwise.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    os.environ.setdefault("LITELLM_MODE", "PRODUCTION")
    import litellm

    return litellm


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
