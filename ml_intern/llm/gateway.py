"""Any model that litellm reaches. The only file that imports litellm."""

from __future__ import annotations

import math
import os
import random
import time
from collections.abc import Callable
from typing import Any

from ml_intern.llm.faults import fault_of
from ml_intern.llm.protocol import Message, Reply, Request, ToolCall, Usage
from ml_intern.llm.text_calls import with_text_calls

_CHARS_PER_TOKEN = 3  # on the safe side for English and code
_DEFAULT_CONTEXT_TOKENS = 32_000
_FREE = ("ollama", "ollama_chat", "lm_studio", "llamafile")  # run on a machine of one's own
_LONGEST_ANSWER = 16_384  # tokens: what a call asks for at most
_TRIES = 5
_LONGEST_PAUSE = 60.0  # seconds


class LitellmModel:
    """A litellm model id (`openai/…`, `anthropic/…`, `ollama_chat/…`); keys and base URLs come from the environment
    variables that litellm documents."""

    def __init__(self, model: str, sleep: Callable[[float], object] = time.sleep) -> None:
        self._model, self._sleep = model, sleep

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

    def ceiling(self, request: Request) -> int | None:
        """The whole prompt at one token for two characters, and the longest answer that the model gives."""
        if self._model.split("/")[0] in _FREE:
            return 0
        try:
            info = _litellm().get_model_info(self._model)
        except Exception:  # litellm raises a bare Exception for a model that it does not list
            return None
        per_input, per_output = info.get("input_cost_per_token"), info.get("output_cost_per_token")
        if not per_input and not per_output:
            return None
        size = sum(
            len(message.content) + sum(len(c.arguments) for c in message.tool_calls) for message in request.messages
        )
        longest = info.get("max_output_tokens") or _LONGEST_ANSWER
        return math.ceil(1e6 * ((per_input or 0.0) * size / 2 + (per_output or 0.0) * min(longest, _LONGEST_ANSWER)))

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
        if (longest := self._longest_answer(litellm)) is not None:
            arguments["max_tokens"] = longest
        response = self._response(litellm, arguments)
        message = response.choices[0].message
        calls = tuple(
            ToolCall(id=call.id, name=call.function.name or "", arguments=call.function.arguments or "{}")
            for call in (message.tool_calls or [])
        )
        reply = Reply(content=message.content or "", tool_calls=calls, usage=self._usage(litellm, response))
        return with_text_calls(reply, [tool.name for tool in request.tools])

    def _longest_answer(self, litellm: Any) -> int | None:
        """Tokens to ask for at most, where the model's own limit is known."""
        try:
            longest = litellm.get_model_info(self._model).get("max_output_tokens")
        except Exception:  # litellm raises a bare Exception for a model that it does not list
            return None
        return min(int(longest), _LONGEST_ANSWER) if longest else None

    def _response(self, litellm: Any, arguments: dict[str, Any]) -> Any:
        """What the provider says, after as many tries as a passing fault is worth. Raises ModelError."""
        for attempt in range(_TRIES):
            try:
                # With tools, litellm would look for tool servers, and needs a package for it that is not here.
                return litellm.completion(**arguments, num_retries=0, max_retries=0, _skip_mcp_handler=True)
            except Exception as error:  # every provider's errors come through here, under many names
                fault = fault_of(error)
                if not fault.passing or attempt + 1 == _TRIES:
                    raise fault.error(self._model, self._variables(litellm)) from error
                self._sleep(_pause(attempt, fault.wait))
        raise AssertionError("unreachable")

    def _variables(self, litellm: Any) -> str:
        """The environment variables that this model's key may come from."""
        try:
            missing = litellm.validate_environment(self._model).get("missing_keys") or []
            provider = litellm.get_llm_provider(self._model)[1]
        except Exception:  # a provider that litellm does not know
            return "the provider's key"
        return " and ".join(missing) or f"{provider.upper()}_API_KEY"

    def _usage(self, litellm: Any, response: Any) -> Usage:
        usage = getattr(response, "usage", None)
        try:
            free = self._model.split("/")[0] in _FREE
            cost: float | None = 0.0 if free else litellm.completion_cost(response, model=self._model) or None
        except Exception:  # an unknown model: the price is unknown, not zero
            cost = None
        return Usage(
            input_tokens=getattr(usage, "prompt_tokens", 0) or 0,
            output_tokens=getattr(usage, "completion_tokens", 0) or 0,
            cost_usd=cost,
        )


def _pause(attempt: int, asked: float | None) -> float:
    """Seconds before the next try: what the provider asked for, else doubling, with jitter so that many do not come
    back at once."""
    if asked is not None:
        return min(asked, _LONGEST_PAUSE)
    return min(2.0**attempt, _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret


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
