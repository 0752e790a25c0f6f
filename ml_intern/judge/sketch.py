"""Sketches of weights: a few numbers a tensor, from which can be told how far the weights of two runs lie apart.

A tensor is brought to length 1 and thrown on a few random directions (Johnson and Lindenstrauss 1984); what two
sketches differ by is, but for some tenths, what the tensors differ by. Of a large one only blocks are read, at places
drawn by the harness. Knows nothing of runs, and loads no model.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import BaseModel, ConfigDict

from ml_intern.judge.weights import Tensor, tensors_of

_DIRECTIONS = 16
_KEPT = 16  # tensors of a run
_LEAST = 4  # numbers; fewer have hardly a direction
_BLOCKS, _BLOCK = 64, 1024  # of a tensor with more numbers than these hold
_WIDTHS = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}


class TensorSketch(BaseModel):
    """`digest`: the first hex digits of the sha256 of its bytes. `values`: of the tensor at length 1. `moved`: its
    distance, relative to its length, from the nearest tensor of the models that training started from; None where there
    are none."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    shape: tuple[int, ...]
    digest: str
    values: tuple[float, ...]
    moved: float | None = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def distance(self, other: TensorSketch) -> float:
        """About |a/|a| − b/|b||: 0 for the same numbers, also where one is scaled; about 1.4 for unrelated ones."""
        return math.dist(self.values, other.values)


def sketch(
    path: Path, key: str, start: Sequence[TensorSketch] = (), most: int = 10_000
) -> tuple[TensorSketch, ...] | None:
    """Of the `most` largest tensors of floating-point numbers, largest first. Those made under one `key` can be
    compared, whatever the tensors are called. `start`: of the models that training started from. None when it is no
    safetensors file."""
    tensors = tensors_of(path)
    if tensors is None:
        return None
    found: list[TensorSketch] = []
    with path.open("rb") as file:
        for tensor in sorted(tensors, key=lambda one: (-math.prod(one.shape), one.shape, one.begin)):
            if len(found) == most or math.prod(tensor.shape) < _LEAST:
                break
            if tensor.dtype in _WIDTHS and (one := _sketched(file, tensor, key)):
                nearest = min((one.distance(other) for other in start if other.size == one.size), default=None)
                found.append(one.model_copy(update={"moved": nearest if nearest is None else round(nearest, 9)}))
    return tuple(found)


def apart(one: Path, other: Path) -> float:
    """How far two files of the same tensors are apart: the largest distance of a tensor, relative to its length, in
    pieces. 2.0, as of opposite ones, where they do not hold the same."""
    ours, theirs = tensors_of(one) or (), tensors_of(other) or ()
    if [(tensor.dtype, tensor.shape) for tensor in ours] != [(tensor.dtype, tensor.shape) for tensor in theirs]:
        return 2.0
    with one.open("rb") as first, other.open("rb") as second:
        pairs = [pair for pair in zip(ours, theirs, strict=True) if pair[0].dtype in _WIDTHS]
        return max((_apart(first, a, second, b) for a, b in pairs), default=0.0)


def _apart(first: BinaryIO, one: Tensor, second: BinaryIO, other: Tensor) -> float:
    import numpy as np

    difference = length = 0.0
    size, step = math.prod(one.shape), _BLOCKS * _BLOCK
    for begin in range(0, size, step):
        a = _numbers(first, one, begin, min(step, size - begin))
        b = _numbers(second, other, begin, min(step, size - begin))
        difference += float(np.square(a - b).sum())
        length += max(float(np.square(a).sum()), float(np.square(b).sum()))
    if not difference < math.inf:
        return 2.0
    return min(2.0, math.sqrt(difference / length)) if length else 0.0


def kept(sketches: Sequence[TensorSketch]) -> tuple[TensorSketch, ...]:
    """What of a run's sketches is written down: the largest of those that training could have changed, and did."""
    return tuple(one for one in sketches if one.moved != 0)[:_KEPT]


def _sketched(file: BinaryIO, tensor: Tensor, key: str) -> TensorSketch | None:
    """None for one of zeros, or of what is no number: it has no direction."""
    import numpy as np

    size = math.prod(tensor.shape)
    drawn = hashlib.sha256(f"{key}/{size}".encode()).digest()
    generator = np.random.default_rng(int.from_bytes(drawn[:8], "little"))
    if size <= _BLOCKS * _BLOCK:
        numbers = _numbers(file, tensor, 0, size)
    else:
        places = generator.integers(0, size - _BLOCK, _BLOCKS)
        numbers = np.concatenate([_numbers(file, tensor, int(place), _BLOCK) for place in sorted(places)])
    largest = float(np.max(np.abs(numbers), initial=0.0))
    if not 0 < largest < math.inf:
        return None
    numbers = numbers / largest  # squares of very small ones would vanish
    numbers /= np.linalg.norm(numbers)
    signs = generator.integers(0, 2, (_DIRECTIONS, len(numbers)), dtype=np.int8) * 2.0 - 1.0
    values = signs @ numbers / math.sqrt(_DIRECTIONS)
    return TensorSketch(
        shape=tensor.shape,
        digest=tensor.digest(file)[:12],
        values=tuple(round(float(value), 9) for value in values),
    )


def _numbers(file: BinaryIO, tensor: Tensor, first: int, count: int) -> Any:
    """`count` numbers from the `first`, as float64."""
    import numpy as np

    width = _WIDTHS[tensor.dtype]
    file.seek(tensor.begin + first * width)
    data = file.read(count * width)
    if tensor.dtype == "BF16":  # the upper half of a float32
        return (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4").astype(np.float64)
    return np.frombuffer(data, f"<f{width}").astype(np.float64)
