"""What went wrong with a model call, in one of a few kinds, with what to do about it. Knows nothing of retries."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ml_intern.errors import ContextOverflow, ModelError
from ml_intern.llm.waits import asked_wait, told_wait, wait_of

Kind = Literal[
    "rate limit", "overloaded", "time-out", "connection", "overflow", "authentication", "quota", "refusal", "request"
]
PASSING: tuple[Kind, ...] = ("rate limit", "overloaded", "time-out", "connection")
LONGEST_WAIT = 60.0  # seconds that a call sits out; a longer wait is for the run to decide on
# Classes of litellm and of the client below it; the first that fits counts.
_BY_CLASS: tuple[tuple[str, Kind], ...] = (
    ("CutStream", "connection"),
    ("ContextWindowExceededError", "overflow"),
    ("ContentPolicyViolationError", "refusal"),
    ("PaymentRequiredError", "quota"),
    ("AuthenticationError", "authentication"),
    ("PermissionDeniedError", "authentication"),
    ("RateLimitError", "rate limit"),
    ("Timeout", "time-out"),
    ("APITimeoutError", "time-out"),
    ("ServiceUnavailableError", "overloaded"),
    ("BadGatewayError", "overloaded"),
    ("InternalServerError", "overloaded"),
    ("APIConnectionError", "connection"),
    ("APIResponseValidationError", "connection"),
    ("JSONDecodeError", "connection"),
    ("TransportError", "connection"),
    ("NotFoundError", "request"),
    ("BadRequestError", "request"),
)
_BY_STATUS: dict[int, Kind] = {401: "authentication", 402: "quota", 403: "authentication", 408: "time-out"}
_OVERFLOW = re.compile(
    r"context.{0,20}(length|window|size)|maximum.{0,20}tokens|too many tokens|exceed.{0,30}context|prompt is too long",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient_quota|exceeded your current quota|billing|credit balance|payment required"
    r"|insufficient.{0,10}(credit|balance)",
    re.IGNORECASE,
)
_REFUSAL = re.compile(r"content.{0,12}(policy|filter|management)|safety (system|policy)|flagged as", re.IGNORECASE)
_KEY_SHAPES = re.compile(r"\b(sk|hf|key|gsk|xai)[-_][\w*-]{3,}|\b(AIza|AKIA)\w{10,}")
_NEXT: dict[Kind, str] = {
    "rate limit": "Wait, or use another model: its limit was still reached after several tries.",
    "overloaded": "The provider is overloaded or broken: wait, or use another model.",
    "time-out": "Try again, or give a model that answers faster (or a longer timeout_seconds in config.toml).",
    "connection": "Check the network and the base URL.",
    "overflow": "Use a model with a longer context, or say in config.toml how much it takes (context_tokens).",
    "authentication": "Set {variables} to a valid key, or use --model recipes, which needs none.",
    "quota": "The account has no credit left: add some, or use another model.",
    "refusal": "The provider refused the content: use another model for this paper.",
    "request": "Check the model id and its options; or use --model recipes, which needs none.",
}


class CutStream(Exception):
    """A stream that ended without saying that it was at its end."""


@dataclass(frozen=True)
class Fault:
    """`wait`: seconds that the provider asked for, if it did. `sent`: False where nobody was there to send it to."""

    kind: Kind
    message: str
    wait: float | None = None
    sent: bool = True

    @property
    def passing(self) -> bool:
        """True where the same request may do better a little later."""
        return self.kind in PASSING

    @property
    def unclear(self) -> bool:
        """True where the provider may have done the work, and charge for it, all the same."""
        return self.sent and self.kind in ("time-out", "connection")

    @property
    def far(self) -> bool:
        """True where the provider says that a little later is too early."""
        return self.passing and self.wait is not None and self.wait > LONGEST_WAIT

    def error(self, model: str, variables: str) -> ModelError:
        what = f"The model {model} did not answer: {self.kind}."
        next = _NEXT[self.kind].format(variables=variables)
        if self.far:
            next = (
                f"It takes calls again in {words_for(self.wait or 0)}: resume the session then, or use another model."
            )
        made = ContextOverflow if self.kind == "overflow" else ModelError
        error = made(what, self.message, next)
        error.unclear = self.unclear
        error.kind = self.kind
        error.wait = self.wait if self.far else None
        return error


def fault_of(error: Exception, secrets: Iterable[str] = ()) -> Fault:
    """Which kind an exception of litellm or of the client below it is. No key that stands in its text is repeated;
    `secrets` are those whose value is known."""
    inner = getattr(error, "original_exception", None)
    if isinstance(inner, Exception):  # litellm wraps what happens in the middle of a stream
        error = inner
    names = [cls.__name__ for cls in type(error).__mro__]
    message = f"{type(error).__name__}: {error}"[:2000]
    for secret in secrets:
        message = message.replace(secret, "(a key)") if len(secret) >= 6 else message
    message = _KEY_SHAPES.sub("(a key)", message)
    words = f"{message} {getattr(error, 'code', None) or ''}"
    kind: Kind = next((kind for name, kind in _BY_CLASS if name in names), "request")
    if kind == "request":
        status = getattr(error, "status_code", 0) or 0
        # litellm has no class for some of a server's own faults, like the 529 of an overloaded Claude.
        kind = "overloaded" if status >= 500 and "APIError" in names else _BY_STATUS.get(status, kind)
    if kind in ("rate limit", "request") and "request too large" in message.lower():
        kind = "overflow"  # no wait makes room for one request that is above the limit of a minute
    elif kind == "rate limit" and _QUOTA.search(words):
        # Some services word a limit of a minute like an empty account, but then they say when it ends.
        told = told_wait(message) is not None or asked_wait(_headers(error)) is not None
        kind = "rate limit" if told else "quota"
    elif kind == "request":
        kind = _kind_by_words(words)
    elif kind == "overloaded" and "Connection error" in message:
        kind = "connection"  # litellm gives a cut connection the class of a server's error
    wait = wait_of(_headers(error), message) if kind in ("rate limit", "overloaded") else None
    return Fault(kind, message, wait, not _never_sent(error))


def _never_sent(error: BaseException | None) -> bool:
    """Whether no connection came about: what was to be sent never left."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if type(error).__name__ in ("ConnectError", "ConnectTimeout"):
            return True
        error = error.__cause__ or error.__context__
    return False


def words_for(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _kind_by_words(message: str) -> Kind:
    if _QUOTA.search(message):
        return "quota"
    if _OVERFLOW.search(message) and "max_tokens is" not in message:
        return "overflow"
    return "refusal" if _REFUSAL.search(message) else "request"


def _headers(error: Exception) -> Mapping[str, str] | None:
    for holder in (getattr(error, "response", None), error):
        for name in ("headers", "litellm_response_headers"):
            headers = getattr(holder, name, None)
            if isinstance(headers, Mapping) and headers:
                return headers
    return None
