"""Weights as files: how many numbers a safetensors file holds, and which. Knows nothing of runs and loads no model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path


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
    from safetensors import SafetensorError, safe_open

    if not path.is_file() or path.is_symlink():
        return None
    try:
        with safe_open(path, framework="numpy"):  # refuses what is not well-formed
            pass
    except (SafetensorError, OSError):
        return None
    found = []
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        header.pop("__metadata__", None)
        for tensor in header.values():
            begin, end = tensor["data_offsets"]
            file.seek(8 + size + begin)
            digest = hashlib.sha256(file.read(end - begin)).hexdigest()
            found.append(f"{tensor['dtype']} {tensor['shape']} {digest}")
    return tuple(sorted(found))


def hash_of(digests: Iterable[str]) -> str:
    """sha256 over `tensor_digests`."""
    return hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()


def tensors_hash(path: Path) -> str | None:
    """sha256 over the tensors of a safetensors file; None when it is none."""
    digests = tensor_digests(path)
    return None if digests is None else hash_of(digests)
