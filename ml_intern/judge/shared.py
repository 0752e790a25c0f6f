"""Tensors that runs have in common to the last bit, beside others that differ: one checkpoint, and something put to it.

Honest models share tensors too: random features of a constant seed, encodings of positions, what was frozen. There,
what differs changes the answers. A pure function of evidence; knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal

from ml_intern.judge.answers import compared
from ml_intern.judge.evidence import Evidence, Guard

_NO_MODEL = 4  # numbers; fewer that differ are a mark on a copy
_Kind = Literal["seeds", "variants", "mostly"]


def same_but_for_additions(records: Sequence[Evidence]) -> list[Guard]:
    """A guard where two seeds of a variant, or two variants of a seed, share tensors and answer alike; a word where
    seeds share most of their numbers, and answers cannot tell."""
    found: dict[tuple[_Kind, str], set[str]] = {}
    for one, other in combinations([record for record in records if record.sketch], 2):
        if one.tensors != other.tensors and (kind := _seen(one, other)):
            name = " and ".join(dict.fromkeys((one.variant, other.variant)))
            found.setdefault((kind, name), set()).update((one.run_id, other.run_id))
    return [_guard(kind, name, len(runs)) for (kind, name), runs in found.items()]


def _seen(one: Evidence, other: Evidence) -> _Kind | None:
    if one.answers is None or other.answers is None or (one.seed == other.seed) == (one.variant == other.variant):
        return None
    theirs = {tensor.digest for tensor in other.sketch}
    both = [tensor for tensor in one.sketch if tensor.digest in theirs]
    answered = compared(one.answers, other.answers)
    if not both or answered == "differ":
        return None
    shared = sum(tensor.size for tensor in both)
    marked = all(0 <= (run.parameters or 0) - shared < _NO_MODEL for run in (one, other))
    alike = answered == "same" or marked
    if one.seed == other.seed:  # the same rows: they can be compared whole
        return "variants" if alike and _files(one) == _files(other) else None
    if alike:
        return "seeds"
    fresh = all(tensor.moved is None for tensor in both)  # nothing that training was told to start from
    most = all(2 * shared > sum(tensor.size for tensor in run.sketch) for run in (one, other))
    return "mostly" if fresh and most else None


def _files(record: Evidence) -> dict[str, str]:
    """Hashes of all that it predicted, by part."""
    return {part: digest for part, (_, digest) in record.predictions.items()}


def _guard(kind: _Kind, name: str, runs: int) -> Guard:
    if kind == "mostly":
        message = (
            f"{name}: more than half of the weights' numbers are the same in {runs} runs of other seeds; features that"
            " no seed draws may be, and a copied checkpoint is"
        )
        return Guard(name="weights in common", message=message, fatal=False)
    what = "seed" if kind == "seeds" else "variant"
    message = f"{name}: {runs} runs share tensors and answer the same; what differs in their weights has no effect"
    return Guard(name=f"{what} without effect", message=message)
