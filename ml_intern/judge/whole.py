"""Whether the table that data.py wrote is all of it: something has to vouch for it, and its hash has to fit."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ml_intern.judge.tables import DataError, read_table, table_hash
from ml_intern.session.disk import sync_tree, write_whole
from ml_intern.session.tables import MARK, witness

TABLE = "table"


def whole_table(folder: Path, log: Path, used: Callable[[], Collection[str]]) -> tuple[Any, str] | None:
    """The table in `folder` and its hash; None where there is none, or not all of it. `log`: of data.py, with the
    journal beside it. `used`: hashes of tables that evidence rests on. Those two vouch for a table without a mark, as
    sessions of before have it."""
    found = witness(folder, log.with_suffix(".run"), used)
    if not found.vouches:
        return None
    with contextlib.suppress(DataError):
        table = read_table(folder / TABLE)
        digest = table_hash(table)
        if found.ended_well or digest in found.hashes:
            return table, digest
    return None


def mark_whole(folder: Path, digest: str) -> None:
    """Table and mark are on disk when it returns."""
    sync_tree(folder / TABLE)
    write_whole(folder / MARK, json.dumps({"table": digest}) + "\n")


def clear(folder: Path, *leftovers: Path) -> None:
    """Nothing of an earlier try is left in the folders `leftovers`; each is there, and empty."""
    (folder / MARK).unlink(missing_ok=True)
    for place in leftovers:
        if place.is_symlink():  # where a script was kept out by no sandbox
            place.unlink()
        elif place.exists():
            shutil.rmtree(place)
        place.mkdir(parents=True)
