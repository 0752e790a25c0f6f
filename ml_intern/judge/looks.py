"""Which seeds a test may look at: those of the first look, or of both, and nothing in between.

Whoever could stop after any seed could stop at a lucky one. So a look counts once all its runs have been made; what
was begun of the next and broken off is left out, and said. Knows nothing of values: a run that crashed was made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ml_intern.judge.evidence import Evidence
from ml_intern.plan.plan import ClaimTest, Experiment, Plan


@dataclass(frozen=True)
class Look:
    """`records`: what the test may look at. `left_out`: what else there is, and why, in words; `missing`: why there is
    nothing to judge by yet. Both are empty where they do not apply."""

    records: tuple[Evidence, ...]
    left_out: str = ""
    missing: str = ""


def look(plan: Plan, experiment: Experiment, test: ClaimTest, records: Sequence[Evidence]) -> Look:
    """`records`: the experiment's confirmation runs, in any order."""
    made: dict[int, set[str]] = {}
    for record in records:
        made.setdefault(record.seed, set()).add(record.variant)
    first, both = experiment.seeds.confirm, experiment.seeds.confirm + experiment.seeds.extra
    whole = [seed for seed in made if test.contrast.keys() <= made[seed]]
    if len(whole) == len(made) and (len(made) == first or len(made) >= both):
        return Look(tuple(records))
    place = {seed: place for place, seed in enumerate(plan.seeds(experiment.id, "confirm", both))}
    ordered = sorted(made, key=lambda seed: (place.get(seed, both), seed))
    gap = next((seed for seed in ordered if seed not in whole), None)
    until = ordered.index(gap) if gap is not None else len(ordered)
    if until < first:
        absent = sorted(test.contrast.keys() - made[gap]) if gap is not None else []
        told = f" (seed {gap}, {absent[0]}: it was not run)" if absent else ""
        return Look(tuple(records), missing=f"{until} of the {first} seeds of the first look were run{told}")
    kept = set(ordered[: until if until >= both else first])
    more = len(made) - len(kept)
    seeds = f"{more} seed{'s' if more > 1 else ''}"
    left_out = f"left out: {seeds} of a second look that was broken off before all its runs were made" if more else ""
    return Look(tuple(record for record in records if record.seed in kept), left_out)
