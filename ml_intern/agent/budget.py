"""The budget of a run: model calls, money, wall clock. What a call may cost is held before it starts, settled after.

Money is counted in whole micro-dollars. The last share is kept for judging and writing, so that an exhausted run still
ends with a report.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict

from ml_intern.errors import BudgetExhausted

_KEPT = 50  # one part in so many of calls and money is for judging and writing
_MARKS = (0.5, 0.8, 0.95)  # shares at which the model is told


class BudgetLimits(BaseModel):
    """`iterations`: model calls. `usd`: None means no limit in money. `seconds`: None means no limit in time."""

    model_config = ConfigDict(frozen=True)

    iterations: int = 300
    usd: float | None = None
    seconds: float | None = None
    allow_unknown_price: bool = False


class Spent(BaseModel):
    """What was used before: `micro` dollars settled, `held` micro-dollars of calls whose end nobody knows; `seconds` of
    wall clock."""

    model_config = ConfigDict(frozen=True)

    iterations: int = 0
    micro: int = 0
    held: int = 0
    seconds: float = 0.0


class Budget:
    """`reserve` before each call and `settle` or `fail` after it; `check` before each batch of runs, `check_time`
    before each run. They raise
    BudgetExhausted, naming what ran out. One call at a time."""

    def __init__(self, limits: BudgetLimits, spent: Spent | None = None) -> None:
        self.limits, self.spent = limits, spent or Spent()
        self._open = 0
        self._started = time.monotonic() - self.spent.seconds
        self._told = {mark for mark in _MARKS if self._share() >= mark}
        self._closing = False

    @contextlib.contextmanager
    def closing(self) -> Iterator[None]:
        """Inside, the share that is kept for judging and writing may be used."""
        self._closing = True
        try:
            yield
        finally:
            self._closing = False

    def pause(self, seconds: float) -> None:
        """So much wall clock does not count."""
        self._started += seconds

    def check(self) -> None:
        self._require(0)

    def check_time(self) -> None:
        """Before each run of a batch, which uses nothing else of it. Raises BudgetExhausted."""
        limit = self.limits.seconds
        if limit is not None and not self._closing and time.monotonic() - self._started >= limit:
            raise _exhausted(f"{limit:.0f} seconds", "--time-limit")

    def has_seconds(self, seconds: float) -> bool:
        """Whether the wall clock leaves so much time."""
        return self.limits.seconds is None or time.monotonic() + seconds - self._started < self.limits.seconds

    def reserve(self, ceiling: int | None) -> int:
        """Begins a call that costs at most `ceiling` micro-dollars (None: nobody knows); returns what is held."""
        if ceiling is None and self.limits.usd is not None and not self.limits.allow_unknown_price:
            raise BudgetExhausted(
                "The price of this model is not known, so a budget in money cannot hold.",
                next="Give --allow-unknown-price, a model whose price litellm knows, or its price in config.toml.",
            )
        self._require(ceiling or 0)
        self._open = ceiling or 0
        self.spent = self.spent.model_copy(update={"iterations": self.spent.iterations + 1})
        return self._open

    def settle(self, usd: float | None) -> None:
        """The call came to its end and cost `usd`; None: unknown."""
        self._open = 0
        self.spent = self.spent.model_copy(update={"micro": self.spent.micro + micro_dollars(usd or 0.0)})

    def fail(self, unclear: bool, usd: float | None = 0.0) -> None:
        """The call failed. `unclear`: it may have been paid for all the same, so what it held stays held; `usd`: what
        the provider reported of it."""
        self._lost(unclear, usd)
        self._open = 0

    def again(self, unclear: bool, usd: float | None, seconds: float) -> None:
        """A try of the call that goes on came to nothing; what it held is held for the next, which begins in `seconds`.
        Raises BudgetExhausted where there is no room for that one."""
        self._lost(unclear, usd)
        if not self.has_seconds(seconds):
            raise _exhausted(f"{self.limits.seconds:.0f} seconds", "--time-limit")
        self._require_money(self._open)

    def _lost(self, unclear: bool, usd: float | None) -> None:
        held = self.spent.held + (self._open if unclear else 0)
        micro = self.spent.micro + micro_dollars(usd or 0.0)
        self.spent = self.spent.model_copy(update={"held": held, "micro": micro})

    def notices(self) -> list[float]:
        """The largest of the shares 0.5, 0.8 and 0.95 that was passed since the last call, if one was."""
        share = self._share()
        new = [mark for mark in _MARKS if share >= mark and mark not in self._told]
        self._told |= set(new)
        return new[-1:]

    def _share(self) -> float:
        """The largest used share of any limit."""
        shares = [self.spent.iterations / max(1, self.limits.iterations)]
        if self.limits.usd:
            shares.append((self.spent.micro + self.spent.held) / micro_dollars(self.limits.usd))
        if self.limits.seconds:
            shares.append((time.monotonic() - self._started) / self.limits.seconds)
        return max(shares)

    def _require(self, more: int) -> None:
        """Room for one call more, and for `more` micro-dollars."""
        limits = self.limits
        kept = 0 if self._closing else min(max(1, limits.iterations // _KEPT), limits.iterations - 1)
        if self.spent.iterations >= limits.iterations - kept:
            raise _exhausted(f"{limits.iterations} iterations", "--max-iterations")
        self._require_money(more)
        self.check_time()

    def _require_money(self, more: int) -> None:
        if self.limits.usd is not None:
            allowed = micro_dollars(self.limits.usd)
            used = self.spent.micro + self.spent.held + more
            kept = 0 if self._closing else allowed // _KEPT
            if used > allowed - kept:
                raise _exhausted(f"${self.limits.usd:.2f}", "--budget-usd")


def micro_dollars(usd: float) -> int:
    """Rounded up, so that many small calls are not free."""
    return math.ceil(round(usd * 1_000_000, 6))


def _exhausted(what: str, option: str) -> BudgetExhausted:
    return BudgetExhausted(f"The budget of {what} is used up.", next=f"Raise {option} to go further.")
