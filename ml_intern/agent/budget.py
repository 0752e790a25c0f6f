"""The budget of a run: model calls, money, wall clock. Asked before each model call and each batch of runs."""

from __future__ import annotations

import time

from pydantic import BaseModel, ConfigDict

from ml_intern.errors import BudgetExhausted


class BudgetLimits(BaseModel):
    """`iterations`: model calls. `usd`: None means no limit in money. `seconds`: None means no limit in time."""

    model_config = ConfigDict(frozen=True)

    iterations: int = 300
    usd: float | None = None
    seconds: float | None = None


class Budget:
    """Counts what is used; `check` raises BudgetExhausted, naming what ran out."""

    def __init__(self, limits: BudgetLimits, iterations: int = 0, usd: float = 0.0) -> None:
        self.limits = limits
        self.iterations = iterations
        self.usd = usd
        self._started = time.monotonic()

    def check(self) -> None:
        limits = self.limits
        if self.iterations >= limits.iterations:
            raise _exhausted(f"{limits.iterations} iterations", "--max-iterations")
        if limits.usd is not None and self.usd >= limits.usd:
            raise _exhausted(f"${limits.usd:.2f}", "--budget-usd")
        if limits.seconds is not None and time.monotonic() - self._started >= limits.seconds:
            raise _exhausted(f"{limits.seconds:.0f} seconds", "--time-limit")

    def spend(self, usd: float | None) -> None:
        """One model call. Raises BudgetExhausted where its price is unknown and money is limited."""
        self.iterations += 1
        if usd is None and self.limits.usd is not None:
            raise BudgetExhausted(
                "The price of this model is not known, so a budget in money cannot hold.",
                next="Run without --budget-usd, or with a model whose price litellm knows.",
            )
        self.usd += usd or 0.0


def _exhausted(what: str, option: str) -> BudgetExhausted:
    return BudgetExhausted(f"The budget of {what} is used up.", next=f"Raise {option} to go further.")
