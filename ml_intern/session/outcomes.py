"""How a run ended, from the journal that its supervisor wrote. Knows nothing of runs that go on."""

from __future__ import annotations

import json
from pathlib import Path


def outcome_of(journal: Path) -> str:
    """As its supervisor wrote it down: `ok`, `failed`, `killed`, …; empty where it did not come to that."""
    try:
        lines = journal.read_bytes().splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        try:
            told = json.loads(line)
            if told["event"] == "finished":
                return str(told["result"]["outcome"])
        except (ValueError, LookupError, TypeError):  # torn, or not what a supervisor writes
            continue
    return ""
