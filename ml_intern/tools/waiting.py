"""Waiting for a command in the background, for as long as it runs: until it ends or one of the rules fires.

Nobody is asked anything meanwhile, and next to no time is used. Knows nothing of models.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from ml_intern.errors import InputError
from ml_intern.run.journal import Standing
from ml_intern.tools.beneath import files_beneath, read_beneath
from ml_intern.tools.commands import Commands
from ml_intern.tools.output import numbers

_FIRST_LOOK, _LAST_LOOK = 0.05, 1.0  # seconds between two looks: growing, so that an hour is few of them
_SLOWER = 50  # times what a look took: a folder with very many files is looked at less often
_LOGS, _LOG_BYTES = 3, 20_000


@dataclass(frozen=True)
class Rules:
    """What ends a wait before the command does. `finite`: the latest value of a number in its metrics is NaN or
    infinite. `quiet_seconds`: it has written nothing new for so long, neither output nor metrics. `seconds`: in all."""

    finite: bool = True
    quiet_seconds: float = math.inf
    seconds: float = math.inf


def wait(commands: Commands, id: int, rules: Rules, called_away: Callable[[], str]) -> tuple[Standing, str]:
    """(how it stands, why it is waited for no longer; empty where it has ended). `called_away` as a bench has it.
    Raises InputError and RunError."""
    began = changed = time.monotonic()
    pause, before = _FIRST_LOOK, _written(commands, id)
    while (found := commands.standing(id)).alive:
        look = time.monotonic()
        now = _written(commands, id)
        if now != before:
            before, changed = now, look
        why = called_away() or (_not_finite(now.rows) if rules.finite else "")
        if not why and look - changed >= rules.quiet_seconds:
            why = f"nothing new was written for {look - changed:.0f} s"
        if not why and look - began >= rules.seconds:
            why = "the time that was asked for is over"
        if why:
            return found, why
        pause = min(pause * 1.5, max(_LAST_LOOK, _SLOWER * (time.monotonic() - look)))
        if not commands.sleep(min(pause, changed + rules.quiet_seconds - look, began + rules.seconds - look)):
            return commands.standing(id), "the run is being stopped"
    return found, ""


@dataclass(frozen=True)
class _Written:
    """Bytes of output, and the last lines of each log of metrics."""

    output: int
    rows: dict[str, bytes]


def _written(commands: Commands, id: int) -> _Written:
    log = commands.log(id)
    return _Written(log.stat().st_size if log.exists() else 0, metrics_of(commands, id))


def metrics_of(commands: Commands, id: int) -> dict[str, bytes]:
    """The last bytes of the `metrics.jsonl` that a command in the background writes, by name."""
    folder = commands.own_folder(id)
    names = [name for name in files_beneath(folder) if name.endswith("metrics.jsonl")] if folder.is_dir() else []
    found = {}
    for name in names[:_LOGS]:
        try:
            found[name] = read_beneath(folder, name, _LOG_BYTES, from_end=True)
        except InputError:  # a link, or gone again
            continue
    return found


def latest(tail: bytes) -> dict[str, float]:
    """The last value of each number in the last lines of a log of metrics."""
    found: dict[str, float] = {}
    for line in tail.splitlines():
        try:
            found |= numbers(json.loads(line))
        except (ValueError, RecursionError):
            continue
    return found


def _not_finite(rows: dict[str, bytes]) -> str:
    for tail in rows.values():
        for key, value in latest(tail).items():
            if not math.isfinite(value):
                return f"{key} is {value}"
    return ""
