"""What training left beside its weights, a vocabulary or a scaler, which predict.py reads: published with them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from ml_intern.session.copies import copy_file

MOST_BYTES = 500_000_000
MOST_FILES = 1_000
# The published folder's own; what it has by other ways; and what no prediction needs.
_TAKEN = (
    "readme.md", "report.md", "report.html", "plan.yaml", "claims.json", "verdicts.json", "evidence.jsonl",
    "environment.lock", "run.json", "manifest.json", "experiments", "predictions", "curves", "model.safetensors",
    "metrics.jsonl",
)  # fmt: skip
_CODE = (".py", ".pyc", ".so")  # scripts are published as they were frozen, and from nowhere else


def copy_beside(source: Path, out: Path, most_bytes: int = MOST_BYTES) -> tuple[str, ...]:
    """Copies regular files, the smallest first, until there are too many; no links, no checkpoints, no code, nothing
    under a name that the published folder uses itself. Returns the names of files that were too large."""
    found = sorted(_regular(source), key=lambda path: (path.stat().st_size, str(path)))
    left = most_bytes
    too_large = []
    for number, path in enumerate(found):
        size = path.stat().st_size
        name = path.relative_to(source)
        if size > left or number >= MOST_FILES:
            too_large.append(str(name))
            continue
        left -= size
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        copy_file(path, out / name)
    return tuple(too_large)


def _regular(source: Path) -> Iterator[Path]:
    for at, folders, names in os.walk(source):
        top = Path(at) == source
        folders[:] = [
            name for name in folders
            if _is_named_well(name) and not name.lower().startswith("checkpoint") and name != "__pycache__"
            and not (top and name.lower() in _TAKEN)
        ]  # fmt: skip
        for name in names:
            path = Path(at) / name
            if (
                _is_named_well(name) and path.suffix.lower() not in _CODE and not (top and name.lower() in _TAKEN)
                and path.is_file() and not path.is_symlink()
            ):  # fmt: skip
                yield path


def _is_named_well(name: str) -> bool:
    return name.isprintable() and not name.startswith(".")
