"""Weights that are nearly the same in runs that were trained apart: a checkpoint that was copied, with a little noise.

What may be concluded from nearness depends on the model. Networks with hidden units that begin at different points end
at different ones: there are as many equally good ones as orders of the units. A model without them may have one
optimum, which every seed finds; there, nearness alone proves nothing, and the logs must be the same too. A pure
function of evidence; knows nothing of files.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

from ml_intern.judge.evidence import Evidence, Guard
from ml_intern.judge.sketch import TensorSketch

SAME = 1e-3  # relative to a tensor's length, or to how far training has moved it from a starting model
CLOSE = 0.03  # seen and said; below what runs from different seeds are apart, above what noise in a copy needs
_UNMOVED = 1e-5  # of its length: training has hardly touched it
_ROWS = 5  # different ones, of a log that tells two trainings apart
_Kind = Literal["copied", "one optimum", "close", "variants"]

_WORDS: dict[_Kind, tuple[str, str, bool]] = {
    "copied": (
        "seed nearly without effect",
        "the seed hardly changes what is trained, or one checkpoint was handed in for several",
        True,
    ),
    "one optimum": (
        "nearly the same weights",
        "without hidden units there may be one optimum that every seed finds, or it was copied: not to be told apart",
        False,
    ),
    "close": ("nearly the same weights", "the seed changes little of what is trained", False),
    "variants": ("variant nearly without effect", "of one seed: the variants' settings change little", False),
}


@dataclass(frozen=True)
class _Agreement:
    """`apart`: the largest distance of the tensors that agree; `hidden`: among them are layers, one on another."""

    apart: float
    hidden: bool


def nearly_the_same(records: Sequence[Evidence]) -> list[Guard]:
    """A guard for each kind of nearness among an experiment's runs."""
    found: dict[_Kind, list[tuple[Evidence, Evidence, float]]] = {}
    for one, other in combinations([record for record in records if record.sketch], 2):
        if one.tensors != other.tensors and (seen := _seen(one, other)):
            found.setdefault(seen[0], []).append((one, other, seen[1]))
    return [_guard(kind, pairs) for kind, pairs in found.items()]


def _guard(kind: _Kind, pairs: Sequence[tuple[Evidence, Evidence, float]]) -> Guard:
    name, meaning, fatal = _WORDS[kind]
    runs = {record.run_id for one, other, _ in pairs for record in (one, other)}
    variants = ", ".join(sorted({record.variant for one, other, _ in pairs for record in (one, other)}))
    apart = max(distance for _, _, distance in pairs)
    message = (
        f"{variants}: the weights of {len(runs)} runs differ by no more than {apart:.2g} of what they are; {meaning}"
    )
    return Guard(name=name, message=message, fatal=fatal)


def _seen(one: Evidence, other: Evidence) -> tuple[_Kind, float] | None:
    """What two runs' nearness amounts to, and how far apart they are. Two variants of one seed begin alike, and may
    differ in little: what they say about a claim is then little, too, and no sign of a copy."""
    same = _agreement(one.sketch, other.sketch, SAME)
    if one.seed == other.seed:
        return ("variants", same.apart) if same else None
    if same:
        copied = same.hidden or (one.curve != "" and one.curve == other.curve)
        return ("copied" if copied else "one optimum", same.apart)
    close = _agreement(one.sketch, other.sketch, CLOSE)
    return ("close", close.apart) if close and close.hidden else None


def _agreement(ours: Sequence[TensorSketch], theirs: Sequence[TensorSketch], limit: float) -> _Agreement | None:
    """Where more than half of the numbers that training could have made different agree within `limit`. Where layers
    do, only matrices count: what is put beside them could be anything."""
    near: list[TensorSketch] = []
    far: list[TensorSketch] = []
    apart = 0.0
    known = {one.digest for one in theirs}
    total = sum(one.size for one in ours if one.digest not in known)
    for one in ours:
        if one.digest in known:  # frozen, or the same constant at the start: it says nothing
            continue
        distance = _nearest(one, theirs)
        if distance is None:
            continue
        if distance < limit:
            near.append(one)
            apart = max(apart, distance)
        else:
            far.append(one)
            if 2 * sum(tensor.size for tensor in far) > total:
                return None
    if sum(tensor.size for tensor in near) <= sum(tensor.size for tensor in far):
        return None
    return _Agreement(apart, _are_layered(near))


def _nearest(one: TensorSketch, theirs: Iterable[TensorSketch]) -> float | None:
    """Distance to the nearest of their tensors of the same size, whatever it is called; of fine-tuned ones relative to
    how far they have moved. None where there is none, or none that has moved."""
    found = []
    for other in theirs:
        if other.size == one.size:
            moved = max(one.moved, other.moved) if one.moved is not None and other.moved is not None else 1.0
            if moved > _UNMOVED:
                found.append(one.distance(other) / min(1.0, moved))
    return min(found, default=None)


def _are_layered(tensors: Sequence[TensorSketch]) -> bool:
    """Whether one matrix takes what another one gives: the units between them could stand in any order."""
    matrices = [one.shape[:2] for one in tensors if len(one.shape) > 1 and min(one.shape[:2]) > 1]
    return any(a[0] == b[1] or a[1] == b[0] for a, b in combinations(matrices, 2))


def curve_hash(rows: Sequence[Mapping[str, Any]]) -> str:
    """sha256 of the losses that a training logged; empty where they are too few, or do not change, to tell two
    trainings apart."""
    losses = [
        {
            key: value
            for key, value in row.items()
            if "loss" in key and isinstance(value, float) and math.isfinite(value)
        }
        for row in rows
    ]
    told = [json.dumps(row, sort_keys=True) for row in losses if row]
    if len(set(told)) < _ROWS:
        return ""
    return hashlib.sha256("\n".join(told).encode()).hexdigest()
