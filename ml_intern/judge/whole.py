"""Whether the table that data.py wrote is all of it: something has to vouch for it, and its hash has to fit.

A mark beside it, with its hash, is written once data.py has ended well and the table was read; until then it names no
hash, on disk before data.py begins, so that a power cut leaves no table that counts. No script can write it.
"""

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
    sessions of before have it; for one whose mark names no hash only the evidence does: a journal can be on disk before
    the table that it speaks of."""
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
    _mark(folder, digest)


def clear(folder: Path, *leftovers: Path) -> None:
    """Nothing of an earlier try is left in the folders `leftovers`; each is there, and empty. The table counts for
    nothing from here on, whatever of this is on disk when the power fails."""
    _mark(folder, "")
    for place in leftovers:
        if place.is_symlink():  # where a script was kept out by no sandbox
            place.unlink()
        elif place.exists():
            shutil.rmtree(place)
        place.mkdir(parents=True)


def _mark(folder: Path, digest: str) -> None:
    write_whole(folder / MARK, json.dumps({"table": digest}) + "\n")
