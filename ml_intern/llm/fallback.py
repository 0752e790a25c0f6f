"""Several models as one: the first that can answer does. Knows nothing of how a model is reached."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence

from ml_intern.errors import ContextOverflow, ModelError
from ml_intern.llm.protocol import LLM, Again, Attempt, Reply, Request, Usage

Switched = Callable[[str, str, str], object]
# Seconds for which a model is passed over after a fault, where the provider names none. A refusal concerns one request.
_PASSED_OVER = {"authentication": math.inf, "quota": math.inf, "request": 600.0, "refusal": 0.0}
_PASSING = 60.0


class Fallback:
    """Implements `LLM`. Each model is asked in turn; one that failed is passed over for a while, and asked before that
    only where all others have failed, too, and its provider has not said when it takes calls again.

    `switched(from, to, why)` hears of every change of the model that answers. A prompt that is too long is no reason
    to change: it is shortened and asked again. `again` hears of what a model that failed may have cost.
    """

    def __init__(
        self,
        models: Sequence[LLM],
        switched: Switched | None = None,
        clock: Callable[[], float] = time.monotonic,
        again: Again | None = None,
    ) -> None:
        self.models, self.switched, self._clock, self._again = tuple(models), switched, clock, again
        self._back_at = [0.0] * len(self.models)
        self._told = [False] * len(self.models)  # whether the provider itself said when
        self._answering = 0

    @property
    def id(self) -> str:
        return self.models[0].id

    @property
    def next(self) -> LLM:
        """Who would be asked now."""
        return self.models[self._order()[0]]

    @property
    def context_chars(self) -> int:
        return self.next.context_chars

    def ceiling(self, request: Request) -> int | None:
        """The dearest of those that may answer; None where any one's price is not known."""
        ceilings = [model.ceiling(request) for model in self.models]
        known = [ceiling for ceiling in ceilings if ceiling is not None]
        return max(known) if len(known) == len(ceilings) else None

    def complete(self, request: Request) -> Reply:
        failed: list[ModelError] = []
        why = "it takes calls again"
        for place in self._order():
            if failed and not self._may_go_on(failed[-1]):
                break
            try:
                self._switch(place, why)
                return self.models[place].complete(request)
            except ContextOverflow as error:
                error.model = self.models[place].id
                raise
            except ModelError as error:
                failed.append(error)
                why = error.kind or error.what
                wait = error.wait if error.wait is not None else _PASSED_OVER.get(error.kind, _PASSING)
                self._back_at[place], self._told[place] = self._clock() + wait, error.wait is not None
        raise self._none(failed)

    def _may_go_on(self, error: ModelError) -> bool:
        """Gives the run the account of a model that failed; whether it has the means for another."""
        if self._again is None:
            return True
        usage = Usage(input_tokens=error.input_tokens, output_tokens=error.output_tokens, cost_usd=error.cost_usd)
        allowed = self._again(Attempt(why=error.kind or error.what, unclear=error.unclear, usage=usage))
        error.unclear, error.input_tokens, error.output_tokens, error.cost_usd = False, 0, 0, 0.0
        return allowed

    def _order(self) -> list[int]:
        """Those that may be asked now, as they were given, then those that may be back; where that is nobody, all, the
        earliest first."""
        now = self._clock()
        early = sorted(range(len(self.models)), key=lambda place: self._back_at[place])
        ready = [place for place, back in enumerate(self._back_at) if back <= now]
        perhaps = [place for place in early if now < self._back_at[place] < math.inf and not self._told[place]]
        return [*ready, *perhaps] or early

    def _wait(self) -> float | None:
        """Seconds until the first takes calls again whose provider has said when."""
        now = self._clock()
        waits = [back - now for back, told in zip(self._back_at, self._told, strict=True) if told and back > now]
        return min(waits, default=None)

    def _switch(self, place: int, why: str) -> None:
        before, self._answering = self._answering, place
        if before != place and self.switched is not None:
            self.switched(self.models[before].id, self.models[place].id, why)

    def _none(self, failed: Sequence[ModelError]) -> ModelError:
        if len(failed) == 1:
            failed[0].wait = self._wait()
            return failed[0]
        names = ", ".join(model.id for model in self.models)
        error = ModelError(
            f"None of the models {names} answered.", "\n".join(one.what for one in failed), failed[0].next
        )
        error.unclear = any(one.unclear for one in failed)
        last = failed[-1]
        error.input_tokens, error.output_tokens, error.cost_usd = last.input_tokens, last.output_tokens, last.cost_usd
        error.kind = failed[0].kind
        error.wait = self._wait()
        return error
