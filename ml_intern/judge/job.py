"""One run as the laboratory orders it, and the metrics that it is measured by."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ml_intern.judge.audit import Auditor
from ml_intern.judge.base_models import BaseModel
from ml_intern.judge.baselines import Baselines
from ml_intern.judge.evidence import Guard, NamesCheck, Phase
from ml_intern.judge.metrics import OUTSIDE
from ml_intern.judge.sketch import TensorSketch
from ml_intern.judge.splits import Split
from ml_intern.plan.plan import Experiment, MetricSpec
from ml_intern.run.resources.broker import Provided


@dataclass(frozen=True)
class Job:
    """What one run needs. `data` holds train/ and validation/; `table` and `split` stay with the harness.
    `recorded`: its evidence goes into the ledger, so what a crash of the harness left of it may be taken over. `start`:
    sketches of the base models; None where training may start from one that cannot be looked at. `names`: what is known
    of these scripts' use of the variants' names. `canary`: whether predictions from scrambled weights are held against
    its own."""

    run_id: str
    experiment: Experiment
    variant: str
    seed: int
    phase: Phase
    smoke: bool
    recorded: bool
    scripts: Path
    script_hashes: Mapping[str, str]
    folder: Path
    data: Path
    data_hash: str
    table: Any
    split: Split
    predictions: Path
    plan: str
    environment: str
    provided: Provided
    proxy: Path | None
    auditor: Auditor | None
    base_models: tuple[BaseModel, ...]
    start: tuple[TensorSketch, ...] | None
    names: NamesCheck | None
    canary: bool
    warnings: tuple[Guard, ...]  # of its split
    baselines: Baselines
    papers_numbers: Mapping[str, float]
    on_start: Callable[[Path, str], None]  # where its curve grows; the hash of its inputs, if it is recorded


def scored_metrics(experiment: Experiment, phase: Phase) -> tuple[MetricSpec, ...]:
    """Exploration sees validation only."""
    return tuple(
        metric for metric in experiment.all_metrics if phase == "confirm" or metric.rows in ("validation", "train")
    )


def predicted_metrics(experiment: Experiment, phase: Phase) -> tuple[MetricSpec, ...]:
    """Those of `scored_metrics` that predictions are needed for."""
    return tuple(metric for metric in scored_metrics(experiment, phase) if metric.name not in OUTSIDE)
