"""Claim: one sentence of the paper that can turn out wrong, with where it stands. Knows nothing of experiments."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

_MOST_CLAIMS = 200  # of one part of a paper
Kind = Literal["direction", "magnitude", "equivalence", "value", "trend", "failure", "threshold", "measurement"]


class StatedNumber(BaseModel):
    """A number that the claim rests on, as printed, and the anchor it stands at (`sec:…`, `tab:3/row:…/col:…`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: str
    anchor: str


class ProposedClaim(BaseModel):
    """What a model answers for one claim. Nothing in it is believed before it is grounded (`plan.grounding`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statement: str = Field(description="the claim in one plain sentence")
    quote: str = Field(description="the words of the paper, verbatim, that make the claim")
    anchor: str = Field(description="anchor of the paragraph, caption or table that the quote stands in")
    kind: Kind
    method: str = Field(description="what is said to win (or to fail)")
    baseline: str = Field(default="", description="what it is compared with")
    metric: str = Field(description="the quantity, as a metric name")
    higher_is_better: bool
    numbers: tuple[StatedNumber, ...] = ()
    conditions: dict[str, str] = Field(default_factory=dict, description="data, model, training")
    subject: str = Field(default="", description="the recipe or experiment family that could test it")


class ClaimProposals(BaseModel):
    """Structured answer to the claims prompt."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    claims: tuple[ProposedClaim, ...] = ()

    @field_validator("claims")
    @classmethod
    def _are_few(cls, claims: tuple[ProposedClaim, ...]) -> tuple[ProposedClaim, ...]:
        if len(claims) > _MOST_CLAIMS:
            raise ValueError(f"{len(claims)} claims are too many: name the {_MOST_CLAIMS} that matter most")
        return claims


class TaskClaims(ClaimProposals):
    """The same of a task, which demands few things: held back by nothing, a small model lists the same without end."""

    claims: tuple[ProposedClaim, ...] = Field(default=(), json_schema_extra={"maxItems": 6})


class Claim(ProposedClaim):
    """A grounded claim. `id` is stable: C1, C2, … in reading order."""

    id: str
