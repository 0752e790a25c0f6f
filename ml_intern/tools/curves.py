"""Metrics and curves of smoke and exploration runs, side by side. Nothing of a confirmation run, nothing sealed."""

from __future__ import annotations

import contextlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from pydantic import BaseModel, ConfigDict, Field

from ml_intern.errors import InputError
from ml_intern.judge.evidence import Evidence
from ml_intern.judge.guards import script_hashes
from ml_intern.judge.laboratory import Laboratory
from ml_intern.tools.bench import Bench
from ml_intern.tools.beneath import read_beneath
from ml_intern.tools.output import numbers, plain
from ml_intern.tools.registry import Tool, fenced

_POINTS, _CURVES, _RUNS = 40, 6, 6  # points of a curve, curves of a run, runs whose curves are shown
_LOG_BYTES = 8_000_000
_OPEN = ("validation", "train")  # rows that exploring may see
_NO_CURVE = ("step", "total", "time")


class _Look(BaseModel):
    model_config = ConfigDict(extra="forbid")

    variant: str = Field(default="", description="curves of this variant's runs")
    run: str = Field(default="", description="curves of one run, by its id")


@dataclass(frozen=True)
class _Run:
    """A smoke or exploration run; `evidence` where it was recorded."""

    id: str
    variant: str
    seed: int
    smoke: bool
    evidence: Evidence | None = None

    @property
    def scores(self) -> dict[str, float | None]:
        found = self.evidence.metrics.items() if self.evidence else ()
        return {key: measured.value for key, measured in found if key.partition("@")[2] in _OPEN}


def tools(bench: Bench) -> list[Tool]:
    laboratory = bench.laboratory

    def look_at_metrics(given: _Look) -> str:
        runs = list(_runs(laboratory))
        wanted = _wanted(runs, given, laboratory)
        shown = [_table(laboratory, runs)]
        points = max(1, _POINTS // max(1, min(len(wanted), _RUNS)))
        shown += [_curves(laboratory, run, points) for run in wanted[:_RUNS]]
        shown += [f"{len(wanted) - _RUNS} more runs: name one for its curves"] if len(wanted) > _RUNS else []
        return fenced("metrics", plain("\n\n".join(shown)))

    told = (
        "Validation and training metrics of smoke and exploration runs: all in one table; curves of a variant or run."
    )
    return [Tool("look_at_metrics", told, "read-only", _Look, look_at_metrics)]


def _runs(laboratory: Laboratory) -> Iterator[_Run]:
    """Those that left anything; ids are made for the phase `explore` alone, so no confirmation run is among them."""
    experiment = laboratory.experiment
    recorded = {record.run_id: record for record in laboratory.explored()}  # the last one of an id
    seeds = laboratory.plan.seeds(experiment.id, "explore", max(1, experiment.seeds.explore))
    for variant in experiment.variants:
        smoke = _Run(laboratory.run_id(variant.name, seeds[0], "explore", True), variant.name, seeds[0], True)
        if _rows(laboratory, smoke.id):
            yield smoke
        for seed in seeds:
            id = laboratory.run_id(variant.name, seed, "explore")
            if id in recorded or _rows(laboratory, id):
                yield _Run(id, variant.name, seed, False, recorded.get(id))


def _wanted(runs: Sequence[_Run], given: _Look, laboratory: Laboratory) -> list[_Run]:
    """The runs whose curves are asked for. Raises InputError."""
    names = [variant.name for variant in laboratory.experiment.variants]
    if given.variant and given.variant not in names:
        raise InputError(f"There is no variant {given.variant!r}.", next=f"There are {', '.join(names)}.")
    if given.run and given.run not in [run.id for run in runs]:
        known = ", ".join(run.id for run in runs) or "none yet"
        raise InputError(f"There is no smoke or exploration run {given.run!r}.", next=f"There are {known}.")
    if not (given.variant or given.run):
        return []
    return [run for run in runs if given.variant in ("", run.variant) and given.run in ("", run.id)]


def _table(laboratory: Laboratory, runs: Sequence[_Run]) -> str:
    if not runs:
        return "No run yet: smoke_run and explore make some."
    now = script_hashes(laboratory.places.scripts)
    keys = list(dict.fromkeys(key for run in runs for key in run.scores))
    lines = [" | ".join(["run", "kind", "variant", "seed", "outcome", "scripts", *keys])]
    means: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in runs:
        found = run.evidence
        current = found is not None and found.scripts == now
        outcome = found.outcome if found else "not recorded"
        words = [run.id, "smoke" if run.smoke else "explore", run.variant, str(run.seed), outcome]
        words += [("now" if current else "older") if found else "-"]
        lines.append(" | ".join([*words, *(_number(run.scores.get(key)) for key in keys)]))
        for key, value in run.scores.items():
            if current and value is not None:
                means[key, run.variant].append(value)
    lines += [
        f"mean of {key}, {name}: {_number(fmean(values))} (n={len(values)} seeds, scripts as they are now)"
        for (key, name), values in sorted(means.items())
    ]
    return "\n".join(lines)


def _curves(laboratory: Laboratory, run: _Run, points: int) -> str:
    """What the run's training wrote about itself, a line a curve."""
    curves: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for number, row in enumerate(_rows(laboratory, run.id), start=1):
        for key, value in row.items():
            if key not in _NO_CURVE:
                curves[key].append((row.get("step", number), value))
    head = f"{run.id} ({'smoke' if run.smoke else 'explore'}, {run.variant}, seed {run.seed}), step:value"
    lines = [
        f"{key} ({len(curve)} points): "
        + " ".join(f"{step:g}:{_number(value)}" for step, value in _thinned(curve, points))
        for key, curve in list(curves.items())[:_CURVES]
    ]
    return "\n".join([head, *(lines or ["(its training wrote no numbers)"])])


def _thinned(curve: Sequence[tuple[float, float]], most: int) -> list[tuple[float, float]]:
    """At most `most` points at even distances, the last among them, and the first where there is room."""
    if len(curve) <= most:
        return list(curve)
    last = len(curve) - 1
    return [curve[last * place // (most - 1)] for place in range(most)] if most > 1 else [curve[last]]


def _rows(laboratory: Laboratory, run_id: str) -> list[dict[str, float]]:
    """The numbers of a `metrics.jsonl`, line by line, read without following links."""
    try:
        content = read_beneath(laboratory.places.runs, f"{run_id}/out/metrics.jsonl", _LOG_BYTES)
    except (InputError, OSError):
        return []
    rows = []
    for line in content.splitlines():
        with contextlib.suppress(ValueError, RecursionError):
            rows.append(numbers(json.loads(line)))
    return rows


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
