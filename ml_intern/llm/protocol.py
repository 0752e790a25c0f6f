"""The LLM seam: what is asked of a language model and what it answers. Knows nothing of providers or of papers."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict


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
    """Tokens, and dollars; `cost_usd` is None when the price is not known (never 0 then)."""

    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0


class Reply(_Frozen):
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage = Usage()


class LLM(Protocol):
    """`context_chars`: how many characters of prompt it takes at most. `ceiling`: micro-dollars that a request costs at
    most; None when the price is not known. `complete` raises ModelError when it cannot answer."""

    @property
    def id(self) -> str: ...

    @property
    def context_chars(self) -> int: ...

    def ceiling(self, request: Request) -> int | None: ...

    def complete(self, request: Request) -> Reply: ...
