"""Several models as one: the first that can answer does. Knows nothing of how a model is reached."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from ml_intern.errors import ContextOverflow, ModelError
from ml_intern.llm.protocol import LLM, Reply, Request

Switched = Callable[[str, str, str], object]
# Seconds for which a model is passed over after a fault, where the provider names none. A refusal concerns one request.
_PASSED_OVER = {"authentication": math.inf, "quota": math.inf, "request": 600.0, "refusal": 0.0}
_PASSING = 60.0


class Fallback:
    """Implements `LLM`. Each model is asked in turn; one that failed is passed over for a while, then tried again.

    `switched(from, to, why)` hears of every change of the model that answers. A prompt that is too long is no reason
    to change: it is shortened and asked again.
    """

    def __init__(
        self,
        models: Sequence[LLM],
        switched: Switched | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.models, self.switched, self._clock = tuple(models), switched, clock
        self._back_at = [0.0] * len(self.models)
        self._answering = 0

    @property
    def id(self) -> str:
        return self.models[0].id

    @property
    def context_chars(self) -> int:
        return self.models[self._order()[0]].context_chars

    def ceiling(self, request: Request) -> int | None:
        """The dearest of those that may answer; None where any one's price is not known."""
        ceilings = [model.ceiling(request) for model in self.models]
        known = [ceiling for ceiling in ceilings if ceiling is not None]
        return max(known) if len(known) == len(ceilings) else None

    def complete(self, request: Request) -> Reply:
        failed: list[ModelError] = []
        why = "it takes calls again"
        for place in self._order():
            try:
                self._switch(place, why)
                return self.models[place].complete(request)
            except ContextOverflow:
                raise
            except ModelError as error:
                failed.append(error)
                why = error.kind or error.what
                wait = error.wait if error.wait is not None else _PASSED_OVER.get(error.kind, _PASSING)
                self._back_at[place] = self._clock() + wait
        raise self._none(failed)

    def _order(self) -> list[int]:
        """Those that may be asked now, as they were given; where none may, all, the earliest first."""
        now = self._clock()
        ready = [place for place, back in enumerate(self._back_at) if back <= now]
        return ready or sorted(range(len(self.models)), key=lambda place: self._back_at[place])

    def _switch(self, place: int, why: str) -> None:
        before, self._answering = self._answering, place
        if before != place and self.switched is not None:
            self.switched(self.models[before].id, self.models[place].id, why)

    def _none(self, failed: Sequence[ModelError]) -> ModelError:
        if len(failed) == 1:
            return failed[0]
        names = ", ".join(model.id for model in self.models)
        error = ModelError(
            f"None of the models {names} answered.", "\n".join(one.what for one in failed), failed[0].next
        )
        error.unclear = any(one.unclear for one in failed)
        error.kind = failed[0].kind
        waits = [one.wait for one in failed if one.wait is not None]
        error.wait = min(waits) if waits and len(waits) == len(failed) else None
        return error
