"""The files beside the weights that are published with them, and their hashes in the evidence: none holds code."""

from __future__ import annotations

from pathlib import Path

from ml_intern.judge.language import MODEL_FILES
from ml_intern.judge.tables import file_hash
from ml_intern.session.disk import sync

WEIGHTS = "model.safetensors"


def beside_weights(folder: Path) -> dict[str, str]:
    """Name to sha256: the files that the harness would take to score a language model."""
    found = (folder / name for name in MODEL_FILES if name != WEIGHTS)
    return {path.name: file_hash(path) for path in found if path.is_file() and not path.is_symlink()}


def make_durable(out: Path) -> None:
    """What a run left and its record speaks of: on disk, names and all, before the record is. Raises OSError."""
    if out.is_symlink() or not out.is_dir():
        return
    for path in (out / name for name in (*MODEL_FILES, "metrics.jsonl")):
        if path.is_file() and not path.is_symlink():
            sync(path)
    for folder in (out, out.parent, out.parent.parent):
        sync(folder)
