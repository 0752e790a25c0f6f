"""What vouches for a table that data.py wrote: one that was broken off can look like one that was not.

Whether a table with a witness is all of it, only whoever reads it can say. Knows nothing of what a table holds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple

from ml_intern.session.outcomes import outcome_of

MARK = "table.json"  # beside the table, with its hash: written by the harness once the table was read, by no script


class Witness(NamedTuple):
    """`ended_well`: data.py did, and wrote all of it. Else it is whole where its hash is one of `hashes`."""

    ended_well: bool
    hashes: Collection[str]

    @property
    def vouches(self) -> bool:
        return self.ended_well or bool(self.hashes)


def witness(folder: Path, journal: Path, used: Callable[[], Collection[str]]) -> Witness:
    """Of the table in `folder`: its mark; where there is none, as in sessions of before, the `journal` of data.py and
    what is `used`: hashes of tables that evidence rests on. For one whose mark names no hash only the latter: a journal
    can be on disk before the table that it speaks of."""
    marked = _marked(folder)
    if marked:
        return Witness(False, (marked,))
    return Witness(marked is None and outcome_of(journal) == "ok", used())


def _marked(folder: Path) -> str | None:
    """The hash in the mark, empty while the table is being made; None where there is no mark."""
    try:
        return str(json.loads((folder / MARK).read_bytes())["table"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, TypeError):
        return ""
