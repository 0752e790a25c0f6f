"""What went wrong with a model call, in one of a few kinds, with what to do about it. Knows nothing of retries."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from ml_intern.errors import ContextOverflow, ModelError

Kind = Literal[
    "rate limit", "overloaded", "time-out", "connection", "overflow", "authentication", "quota", "refusal", "request"
]
PASSING: tuple[Kind, ...] = ("rate limit", "overloaded", "time-out", "connection")
# litellm's exception classes; the first that fits counts.
_BY_CLASS: tuple[tuple[str, Kind], ...] = (
    ("ContextWindowExceededError", "overflow"),
    ("ContentPolicyViolationError", "refusal"),
    ("AuthenticationError", "authentication"),
    ("PermissionDeniedError", "authentication"),
    ("RateLimitError", "rate limit"),
    ("Timeout", "time-out"),
    ("ServiceUnavailableError", "overloaded"),
    ("BadGatewayError", "overloaded"),
    ("InternalServerError", "overloaded"),
    ("APIConnectionError", "connection"),
    ("APIResponseValidationError", "connection"),
    ("JSONDecodeError", "connection"),
    ("NotFoundError", "request"),
    ("BadRequestError", "request"),
)
_OVERFLOW = re.compile(
    r"context.{0,20}(length|window|size)|maximum.{0,20}tokens|too many tokens|exceed.{0,30}context", re.IGNORECASE
)
_QUOTA = re.compile(
    r"insufficient_quota|exceeded your current quota|billing|credit balance|payment required", re.IGNORECASE
)
_NEXT: dict[Kind, str] = {
    "rate limit": "Wait, or use another model: its limit was still reached after several tries.",
    "overloaded": "The provider is overloaded or broken: wait, or use another model.",
    "time-out": "Try again, or give a model that answers faster.",
    "connection": "Check the network and the base URL.",
    "overflow": "Use a model with a longer context.",
    "authentication": "Set {variables} to a valid key, or use --model recipes, which needs none.",
    "quota": "The account has no credit left: add some, or use another model.",
    "refusal": "The provider refused the content: use another model for this paper.",
    "request": "Check the model id and its options; or use --model recipes, which needs none.",
}


@dataclass(frozen=True)
class Fault:
    """`wait`: seconds that the provider asked for, if it did."""

    kind: Kind
    message: str
    wait: float | None = None

    @property
    def passing(self) -> bool:
        """True where the same request may do better a little later."""
        return self.kind in PASSING

    def error(self, model: str, variables: str) -> ModelError:
        what = f"The model {model} did not answer: {self.kind}."
        made = ContextOverflow if self.kind == "overflow" else ModelError
        error = made(what, self.message, _NEXT[self.kind].format(variables=variables))
        error.unclear = self.kind in ("time-out", "connection")
        return error


def fault_of(error: Exception) -> Fault:
    """Which kind an exception of litellm or of the client below it is. No key that stands in its text is repeated."""
    names = [cls.__name__ for cls in type(error).__mro__]
    message = re.sub(r"\b(sk|hf|key|gsk|xai)[-_][\w*-]{3,}", "(a key)", f"{type(error).__name__}: {error}")[:2000]
    kind: Kind = next((kind for name, kind in _BY_CLASS if name in names), "request")
    if kind in ("request", "rate limit") and _QUOTA.search(message):
        kind = "quota"
    elif kind == "request" and _OVERFLOW.search(message) and "max_tokens is" not in message:
        kind = "overflow"
    elif kind == "overloaded" and "Connection error" in message:
        kind = "connection"  # litellm gives a cut connection the class of a server's error
    return Fault(kind, message, _retry_after(error))


def _retry_after(error: Exception) -> float | None:
    for holder in (getattr(error, "response", None), error):
        headers = getattr(holder, "headers", None) or getattr(holder, "litellm_response_headers", None)
        value = headers.get("retry-after") if headers is not None and hasattr(headers, "get") else None
        if value is not None and re.fullmatch(r"\d+(\.\d+)?", str(value)):
            return float(value)
    return None
