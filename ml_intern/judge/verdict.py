"""Verdict: what was found about one claim, and how close the setting is. Knows nothing of runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

from ml_intern.plan.plan import Setting

Outcome = Literal["reproduced", "partly", "not reproduced", "inconclusive", "not tested"]


class Verdict(BaseModel):
    """`low` and `high` bound the interval that decided. `effects` are per paired seed, positive on the claimed side.
    `level` is the test's (0.95, or Pocock's 0.9706 when two looks were planned). `needed_seeds`: a guess at the number
    that would decide an inconclusive. `parts`: the verdict of each test, for a claim that was tested in several
    places; else empty."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claim: str
    outcome: Outcome
    reason: str
    experiment: str = ""
    metric: str = ""
    setting: Setting | None = None
    scale: str = ""
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    minimal_effect: float | None = None
    p_value: float | None = None
    p_holm: float | None = None
    seeds: tuple[int, ...] = ()
    effects: tuple[float, ...] = ()
    means: dict[str, float] = {}
    needed_seeds: int | None = None
    looks: int = 1
    primary: bool = True
    trust: str = "harness"
    smoke: bool = False
    parts: tuple[Verdict, ...] = ()

    def explained(self, blocked: Mapping[str, str]) -> Verdict:
        """With the reason why its experiment was given up, where it was. `blocked`: experiment id to reason."""
        changes: dict[str, object] = {"parts": tuple(part.explained(blocked) for part in self.parts)}
        if self.outcome == "not tested" and self.experiment in blocked:
            changes["reason"] = f"its experiment was given up: {blocked[self.experiment]}"
        return self.model_copy(update=changes)

    @property
    def short(self) -> str:
        """What was found and how close the setting is: 'reproduced, scaled down'."""
        outcome = f"{self.outcome} (smoke)" if self.smoke and self.outcome != "not tested" else self.outcome
        return f"{outcome}, {self.setting}" if self.setting else outcome

    @property
    def headline(self) -> str:
        """The same with the factors: 'reproduced, scaled down (1/450 of the parameters)'."""
        return f"{self.short} ({self.scale})" if self.setting and self.scale else self.short
