"""The LLM seam: what is asked of a language model and what it answers. Knows nothing of providers or of papers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

Finish = Literal["stop", "length", "tool_calls", "content_filter"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class ToolCall(_Frozen):
    """`arguments` is the JSON text as the model wrote it; it is checked where it is carried out."""

    id: str
    name: str
    arguments: str


class Message(_Frozen):
    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


class ToolSpec(_Frozen):
    """`parameters` is a JSON schema."""

    name: str
    description: str
    parameters: dict[str, Any]


class Request(_Frozen):
    """`answer_name` and `answer_schema`: when set, the answer's content must be JSON under that schema."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    answer_name: str = ""
    answer_schema: dict[str, Any] | None = None


class Usage(_Frozen):
    """Tokens, and dollars; `cost_usd` is None when the price is not known (never 0 then), 0 when the model is free.
    `cached_tokens` is the part of `input_tokens` that the provider read from its cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost_usd: float | None = 0.0


class Reply(_Frozen):
    """`reasoning` is what the model thought before it answered; it is not sent back. `finish` is `length` where the
    answer was cut by the length limit: a call that was cut with it is not in `tool_calls`. `problem` says in words for
    the model what was odd about its reply; empty where nothing was. `model` is the id that answered."""

    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()
    reasoning: str = ""
    finish: Finish = "stop"
    problem: str = ""
    model: str = ""


class Delta(_Frozen):
    """A piece of a reply that is still being written. `again`: what was shown of this reply counts no more, it begins
    anew."""

    kind: Literal["text", "reasoning", "call", "again"]
    text: str = ""


Listener = Callable[[Delta], object]


class Attempt(_Frozen):
    """A try that came to nothing, before the same request is made again. `why` in a word or two; `usage` is what the
    provider reported of it; `unclear`: it may have been paid for, and nobody said how much; `pause`: seconds until the
    next."""

    why: str
    unclear: bool = False
    usage: Usage = Usage()
    pause: float = 0.0


# Hears of each such try; False where the run has no time or money left for the next.
Again = Callable[[Attempt], bool]


class LLM(Protocol):
    """`context_chars`: how many characters of prompt it takes at most. `ceiling`: micro-dollars that a request costs at
    most; None when the price is not known. `complete` raises ModelError when it cannot answer."""

    @property
    def id(self) -> str: ...

    @property
    def context_chars(self) -> int: ...

    def ceiling(self, request: Request) -> int | None: ...

    def complete(self, request: Request) -> Reply: ...
