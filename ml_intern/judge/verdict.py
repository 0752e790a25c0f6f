"""Verdict: what was found about one claim, and how close the setting is. Knows nothing of runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from ml_intern.plan.plan import Setting

Outcome = Literal["reproduced", "partly", "not reproduced", "inconclusive", "not tested", "measured"]
_OF_A_TASK = {"reproduced": "met", "partly": "partly met", "not reproduced": "not met"}  # other words for the same


class Verdict(BaseModel):
    """`low` and `high` bound the interval that decided. `effects` are per paired seed, positive on the claimed side.
    `level` is the test's (0.95, or Pocock's 0.9706 when two looks were planned). `needed_seeds`: a guess at the number
    that would decide an inconclusive. `parts`: the verdict of each test, for a claim that was tested in several
    places; else empty. `task`: the claim comes from a person's task, not from a paper."""

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
    task: bool = False
    parts: tuple[Verdict, ...] = ()

    @model_serializer(mode="wrap")
    def _as_before(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Verdicts about papers are written as they were before there were tasks."""
        data: dict[str, Any] = handler(self)
        if not self.task:
            data.pop("task", None)
        return data

    def explained(self, blocked: Mapping[str, str]) -> Verdict:
        """With the reason why its experiment was given up, where it was. `blocked`: experiment id to reason."""
        changes: dict[str, object] = {"parts": tuple(part.explained(blocked) for part in self.parts)}
        if self.outcome == "not tested" and self.experiment in blocked:
            changes["reason"] = f"its experiment was given up: {blocked[self.experiment]}"
        return self.model_copy(update=changes)

    @property
    def word(self) -> str:
        """The outcome for a person: a claim is reproduced or not, a task's demand met or not."""
        return _OF_A_TASK.get(self.outcome, self.outcome) if self.task else self.outcome

    @property
    def short(self) -> str:
        """What was found and how close the setting is: 'reproduced, scaled down'. A task done as it was set: 'met'."""
        outcome = f"{self.word} (smoke)" if self.smoke and self.outcome != "not tested" else self.word
        return f"{outcome}, {self.setting}" if self.setting and not (self.task and self.setting == "same") else outcome

    @property
    def headline(self) -> str:
        """The same with the factors: 'reproduced, scaled down (1/450 of the parameters)'."""
        return f"{self.short} ({self.scale})" if self.setting and self.scale else self.short
