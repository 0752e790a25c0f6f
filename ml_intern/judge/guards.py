"""Guards on runs: signs that a result is not what it says it is. Pure functions of what the harness knows."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_intern.judge.environment import different_packages
from ml_intern.judge.evidence import Evidence, Guard, NamesCheck
from ml_intern.judge.lines import TooLong, bounded_lines
from ml_intern.judge.nearness import nearly_the_same
from ml_intern.judge.order import settled
from ml_intern.judge.shared import same_but_for_additions
from ml_intern.judge.splits import row_hashes
from ml_intern.judge.tables import ARROW_NAME, file_hash, read_arrow

_LONGEST_LINE, _MOST_LOGGED, _MOST_ROWS = 1_000_000, 200_000_000, 20_000  # characters of a metrics.jsonl; its rows
_MAX_STEPS_PER_SECOND = 200_000  # far above what one optimiser step on one core can reach


def weights_without_effect(records: Sequence[Evidence]) -> list[Guard]:
    """Identical weights under two seeds of one variant, or under two variants of one seed."""
    guards = []
    by_weights: dict[str, list[Evidence]] = defaultdict(list)
    for record in records:
        if record.weights:
            by_weights[record.tensors or record.weights].append(record)
    for same in by_weights.values():
        variants, seeds = {r.variant for r in same}, {r.seed for r in same}
        if len(variants) > 1:
            names = ", ".join(sorted(variants))
            guards.append(Guard(name="variant without effect", message=f"the same weights came out for {names}"))
        if len(seeds) > 1:
            message = f"{same[0].variant}: the same weights came out for {len(seeds)} seeds"
            guards.append(Guard(name="seed without effect", message=message))
    return guards


def different_n(records: Sequence[Evidence]) -> list[Guard]:
    """Two variants of one seed that were scored on different numbers of rows."""
    guards = []
    counts: dict[tuple[int, str], set[int]] = defaultdict(set)
    for record in records:
        for key, measured in record.metrics.items():
            if measured.value is not None:
                counts[record.seed, key].add(measured.n)
    for (seed, key), found in counts.items():
        if len(found) > 1:
            guards.append(Guard(name="different n", message=f"seed {seed}, {key}: {sorted(found)} rows"))
    return guards


def made_differently(records: Sequence[Evidence]) -> list[Guard]:
    """Runs that are laid side by side although plan, scripts or data changed between them."""
    versions = {
        "plan": {record.plan for record in records},
        "scripts": {json.dumps(record.scripts, sort_keys=True) for record in records},
        "data": {record.data for record in records},
    }
    return [
        Guard(name=f"different {what}", message=f"the runs were made with {len(found)} versions of the {what}")
        for what, found in versions.items()
        if len(found) > 1
    ]


def with_group_guards(evidence: Sequence[Evidence]) -> tuple[Evidence, ...]:
    """The evidence with what only shows when an experiment's confirmation runs are laid side by side, whichever of them
    ended first."""
    found: dict[str, list[Guard]] = {}
    for experiment in {record.experiment for record in evidence}:
        records = [r for r in settled(evidence) if r.experiment == experiment and r.phase == "confirm"]
        found[experiment] = [
            *weights_without_effect(records),
            *same_but_for_additions(records),
            *nearly_the_same(records),
            *different_n(records),
            *made_differently(records),
            *different_packages(records),
        ]
    return tuple(
        record.model_copy(update={"guards": (*record.guards, *found[record.experiment])})
        if record.phase == "confirm" and found[record.experiment]
        else record
        for record in evidence
    )


def names_matter(check: NamesCheck | None) -> list[Guard]:
    """What the canary of names means for each run of an experiment."""
    if check is not None and check.outcome == "differ":
        return [Guard(name="variant by name", message=check.said)]
    if check is not None and check.outcome == "names only":
        return [Guard(name="variant by name", message=check.said, fatal=False)]
    return []


def scripts_changed(frozen: Mapping[str, str], folder: Path) -> list[Guard]:
    """Files whose hash differs from when they were frozen, that are gone, or that are new."""
    now = script_hashes(folder)
    changed = sorted(name for name in frozen.keys() | now.keys() if frozen.get(name) != now.get(name))
    changed += sorted(str(path.relative_to(folder)) for path in folder.rglob("__pycache__"))
    return [Guard(name="scripts changed", message=f"changed after freezing: {', '.join(changed)}")] if changed else []


def data_changed(folder: Path, expected: Mapping[str, Any]) -> list[Guard]:
    """Training data that are no longer what the harness wrote. `expected`: part of the split to its table."""
    changed = [part for part, table in expected.items() if not _holds(folder / part / ARROW_NAME, table)]
    message = f"the data that training reads were changed: {', '.join(changed)}"
    return [Guard(name="data changed", message=message)] if changed else []


def _holds(path: Path, table: Any) -> bool:
    try:
        found = read_arrow(path)
    except (OSError, ValueError):
        return False
    if found.equals(table):
        return True
    # NaN is unlike itself: rows are compared as text before anything is said.
    names = table.column_names
    return bool(found.schema.equals(table.schema)) and row_hashes(found, names) == row_hashes(table, names)


def files_outside(folder: Path, allowed: Sequence[str]) -> list[Guard]:
    """What a run left in its folder beside the places that it was given."""
    strange = sorted(path.name for path in folder.iterdir() if path.name not in allowed)
    message = f"written outside the output folder: {', '.join(strange)}"[:1000]
    return [Guard(name="files outside", message=message)] if strange else []


def script_hashes(folder: Path) -> dict[str, str]:
    """Path to sha256 of every file of an experiment's folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(folder)): file_hash(path) for path in files}


@dataclass(frozen=True)
class TrainingLog:
    """What a training wrote about itself, and why no more of it was read."""

    rows: list[dict[str, Any]]
    unread: str = ""


def too_fast(log: TrainingLog, wall_seconds: float) -> list[Guard]:
    """More steps logged than the run had time for, or clocks in the log that run longer than the run."""
    steps = [row["step"] for row in log.rows if isinstance(row.get("step"), int | float)]
    if steps and max(steps) / max(wall_seconds, 1e-3) > _MAX_STEPS_PER_SECOND:
        return [Guard(name="too fast", message=f"{max(steps)} steps logged in {wall_seconds:.2f} s")]
    times = [row["time"] for row in log.rows if isinstance(row.get("time"), int | float)]
    if len(times) > 1 and max(times) - min(times) > wall_seconds + 1:
        return [
            Guard(name="too fast", message=f"its log spans {max(times) - min(times):.0f} s of {wall_seconds:.0f} s")
        ]
    return []


def diverged(log: TrainingLog) -> list[Guard]:
    """A loss whose last value in the log is NaN or infinite, with the step from which on it was. It is told, and takes
    nothing out of a verdict: the scores speak for themselves."""
    since: dict[str, object] = {}
    for number, row in enumerate(log.rows, start=1):
        for key, value in row.items():
            if "loss" in key.lower() and isinstance(value, int | float):
                if not _is_finite(value):
                    since.setdefault(key, row.get("step", number))
                else:
                    since.pop(key, None)
    told = ", ".join(f"{key} is not finite from step {step} on" for key, step in since.items())
    return [Guard(name="diverged", message=told[:500], fatal=False)] if told else []


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return True


def unread_log(log: TrainingLog) -> list[Guard]:
    """A `metrics.jsonl` that was not read to its end, since no log has such lines. It is told, as `diverged` is."""
    message = f"metrics.jsonl is read no further: {log.unread}"
    return [Guard(name="unread log", message=message, fatal=False)] if log.unread else []


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The rows of a `metrics.jsonl`."""
    return training_log(path).rows


def training_log(path: Path) -> TrainingLog:
    """A `metrics.jsonl` that a script wrote; lines that are no JSON object are passed over."""
    rows: list[dict[str, Any]] = []
    if not path.is_file() or path.is_symlink():
        return TrainingLog(rows)
    try:
        for line in bounded_lines(path, _LONGEST_LINE, _MOST_LOGGED):
            try:
                row = json.loads(line[:10_000])
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                rows.append(row)
            if len(rows) >= _MOST_ROWS:
                break
    except TooLong as error:
        return TrainingLog(rows, str(error))
    return TrainingLog(rows)
