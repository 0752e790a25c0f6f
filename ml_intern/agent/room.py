"""How long a prompt a model takes: as configured or listed for it, or less where it has refused a longer one.

What was found out stands in the log, so that a resumed run does not find out again. Knows nothing of how prompts are
made shorter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from ml_intern.errors import ContextOverflow
from ml_intern.llm.fallback import Fallback
from ml_intern.llm.protocol import LLM
from ml_intern.session.events import Event

Found = TypeVar("Found")

_SHORTENED_AT_MOST = 5  # times for one piece of work
_LEAST_TOKENS = 2_000  # no work could be done in less: a smaller number is no limit, or not to be believed
_LIMIT = re.compile(
    r"(?:context[_ ](?:length|size|window|limit)|maximum number of tokens allowed|n_ctx|tokens >|\blimit)"
    r"[^\d\n]{0,30}?(?P<behind>\d[\d,]*)|(?P<before>\d[\d,]*)[ -](?:token )?(?:maximum )?context (?:length|window)",
    re.IGNORECASE,
)


class Room:
    """`of` a model, in characters. `learn` hears of a prompt that it refused."""

    def __init__(self, events: Iterable[Event]) -> None:
        self._learnt: dict[tuple[str, int], int] = {}
        for event in events:
            if event.type == "session.failed":  # whoever resumes it may have given the model a longer context
                self._learnt.clear()
            elif event.type == "note" and isinstance(event.data.get("room"), dict):
                self._keep(event.data["room"])

    def of(self, model: LLM) -> int:
        """Of several, of the one that would be asked now."""
        one = model.next if isinstance(model, Fallback) else model
        listed = one.context_chars
        return min(listed, self._learnt.get((one.id, listed), listed))

    def learn(self, model: LLM, error: ContextOverflow, sent: int) -> dict[str, Any] | None:
        """What to log of the one that refused: the limit that its words name, half of it for the prompt as elsewhere,
        and less than the `sent` characters in any case. None where that is known already."""
        one = _refusing(model, error)
        named = limit_in(f"{error.what} {error.why}")
        chars = min(sent * 7 // 10, named * 3 // 2 if named else sent)
        if chars >= self.of(one):
            return None
        found = {"model": one.id, "listed": one.context_chars, "chars": chars}
        self._keep(found)
        return found

    def _keep(self, found: dict[str, Any]) -> None:
        self._learnt[str(found["model"]), int(found["listed"])] = int(found["chars"])

    def fitting(self, model: Callable[[], LLM], ask: Callable[[], Found]) -> Found:
        """What `ask` gives; it is asked again where the model has said meanwhile that it takes less."""
        for _ in range(_SHORTENED_AT_MOST):
            before = self.of(model())
            try:
                return ask()
            except ContextOverflow:
                if self.of(model()) >= before:
                    raise
        return ask()


def _refusing(model: LLM, error: ContextOverflow) -> LLM:
    several = model.models if isinstance(model, Fallback) else ()
    return next((one for one in several if one.id == error.model), model)


def limit_in(words: str) -> int | None:
    """The tokens that a refusal names as the most that there may be, as in `maximum context length is 4096 tokens`."""
    found = [int((match["behind"] or match["before"]).replace(",", "")) for match in _LIMIT.finditer(words[:4000])]
    return min((one for one in found if one >= _LEAST_TOKENS), default=None)


def with_advice(error: ContextOverflow, model: LLM) -> ContextOverflow:
    """The same error, which says what a person can do."""
    setting = f'Set context_tokens under [models."{_refusing(model, error).id}"] in config.toml to what it takes'
    next = f"{setting}, so that prompts are made for that; or use a model with a longer context."
    advised = ContextOverflow(error.what, error.why, next)
    advised.__dict__.update(error.__dict__ | {"next": next})
    return advised
