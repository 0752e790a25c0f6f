"""Weights as files: how many numbers a safetensors file holds, and which. Knows nothing of runs and loads no model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Tensor:
    """One tensor of a safetensors file: its bytes lie from `begin` to `end` of the file."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    def digest(self, file: BinaryIO) -> str:
        """sha256 of its bytes, read piece by piece."""
        found = hashlib.sha256()
        file.seek(self.begin)
        left = self.end - self.begin
        while left and (chunk := file.read(min(left, _CHUNK))):
            found.update(chunk)
            left -= len(chunk)
        return found.hexdigest()


def tensors_of(path: Path) -> tuple[Tensor, ...] | None:
    """What a safetensors file holds, by its header. None when it is no such file, or a link."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file() or path.is_symlink():
        return None
    try:
        with safe_open(path, framework="numpy"):  # refuses what is not well-formed
            pass
    except (SafetensorError, OSError):
        return None
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    header.pop("__metadata__", None)
    return tuple(
        Tensor(one["dtype"], tuple(one["shape"]), *(8 + size + offset for offset in one["data_offsets"]))
        for one in header.values()
    )


def count_parameters(path: Path) -> int | None:
    """Numbers in a safetensors file, from its header alone. None when it is no such file."""
    try:
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(min(size, 50_000_000)))
        total = 0
        for name, tensor in header.items():
            if name != "__metadata__":
                count = 1
                for length in tensor["shape"]:
                    count *= int(length)
                total += count
        return total
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        return None


def tensor_digests(path: Path) -> tuple[str, ...] | None:
    """Type, shape and sha256 of each tensor, sorted, whatever its name and the metadata beside it. None when it is no
    safetensors file, or a link."""
    tensors = tensors_of(path)
    if tensors is None:
        return None
    with path.open("rb") as file:
        return tuple(sorted(f"{one.dtype} {list(one.shape)} {one.digest(file)}" for one in tensors))


def hash_of(digests: Iterable[str]) -> str:
    """sha256 over `tensor_digests`."""
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def tensors_hash(path: Path) -> str | None:
    """sha256 over the tensors of a safetensors file; None when it is none."""
    digests = tensor_digests(path)
    return None if digests is None else hash_of(digests)
