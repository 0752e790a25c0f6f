"""Whether the table that data.py wrote is all of it: one that was broken off can look like one that was not.

A mark beside it, with its hash, is written once data.py has ended well and the table was read. No script can write it.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from ml_intern.judge.tables import DataError, read_table, table_hash
from ml_intern.run import journal
from ml_intern.session.disk import sync_tree, write_whole

TABLE, _MARK = "table", "table.json"


def whole_table(folder: Path, log: Path, used: Callable[[], Collection[str]]) -> tuple[Any, str] | None:
    """The table in `folder` and its hash; None where there is none, or not all of it. `log`: of data.py, with the
    journal beside it. `used`: hashes of tables that evidence rests on. Those two vouch for a table without a mark, as
    sessions of before have it."""
    marked = _marked(folder)
    ended_well = not marked and _ended_well(log)
    accepted = [marked] if marked else used()
    if not ended_well and not accepted:
        return None
    with contextlib.suppress(DataError):
        table = read_table(folder / TABLE)
        digest = table_hash(table)
        if ended_well or digest in accepted:
            return table, digest
    return None


def mark_whole(folder: Path, digest: str) -> None:
    """Table and mark are on disk when it returns."""
    sync_tree(folder / TABLE)
    write_whole(folder / _MARK, json.dumps({"table": digest}) + "\n")


def clear(folder: Path, *leftovers: Path) -> None:
    """Nothing of an earlier try is left in the folders `leftovers`; each is there, and empty."""
    (folder / _MARK).unlink(missing_ok=True)
    for place in leftovers:
        if place.is_symlink():  # where a script was kept out by no sandbox
            place.unlink()
        elif place.exists():
            shutil.rmtree(place)
        place.mkdir(parents=True)


def _marked(folder: Path) -> str:
    try:
        told = json.loads((folder / _MARK).read_bytes())
        return str(told["table"])
    except (OSError, ValueError, LookupError, TypeError):
        return ""


def _ended_well(log: Path) -> bool:
    found = journal.standing(log.with_suffix(".run"))
    return not found.alive and found.result is not None and found.result.outcome == "ok"
