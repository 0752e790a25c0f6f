"""Evidence in an order that tells nothing of which run ended first: that differs from one machine to the next, and
after an interruption. Judges nothing."""

from __future__ import annotations

from collections.abc import Iterable

from ml_intern.judge.evidence import Evidence
from ml_intern.plan.plan import Plan


def settled(evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """By experiment, phase, seed and variant; a run that was made again stays behind what it was before."""
    return tuple(sorted(evidence, key=lambda one: (one.experiment, one.phase, one.seed, one.variant)))


def by_plan(plan: Plan, evidence: Iterable[Evidence]) -> tuple[Evidence, ...]:
    """The same, with experiments and variants in the order of the plan."""
    places = {one.id: place for place, one in enumerate(plan.experiments)}
    variants = {(one.id, variant.name): place for one in plan.experiments for place, variant in enumerate(one.variants)}
    unknown = len(places) + len(variants)  # verify says so of a run that is none of the plan's
    return tuple(
        sorted(
            settled(evidence),
            key=lambda one: (
                places.get(one.experiment, unknown), one.phase, one.seed,
                variants.get((one.experiment, one.variant), unknown),
            ),
        )
    )  # fmt: skip
