"""Runs the published `evaluate.py` again on the saved predictions: what `verify` does only when asked, for it is code
that a model wrote."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from ml_intern.judge.audit import Auditor, Rows
from ml_intern.judge.evidence import Evidence
from ml_intern.plan.plan import Experiment
from ml_intern.publish.folder import evidence_in, plan_in, saved_lines
from ml_intern.run.compute.base import Compute


def evaluate_again(folder: Path, compute: Compute) -> Iterator[str]:
    """A line for each audited number that comes out differently. Raises MlInternError where evaluate.py fails."""
    evidence = evidence_in(folder)
    for experiment in plan_in(folder).experiments:
        if not experiment.audited:
            continue
        with tempfile.TemporaryDirectory() as scratch:
            scripts = folder / "experiments" / experiment.id
            auditor = Auditor(experiment, scripts, Path(scratch), compute, threading.Event())
            for record in evidence:
                if record.experiment == experiment.id and record.phase == "confirm" and record.outcome == "ok":
                    yield from _differences(folder, experiment, record, auditor)


def _differences(folder: Path, experiment: Experiment, record: Evidence, auditor: Auditor) -> Iterator[str]:
    names = {metric.name for metric in experiment.audited}
    for spec in experiment.all_metrics:
        if spec.name not in names or record.metrics[spec.key].value is None:
            continue
        part, _, wanted = spec.rows.partition(":")
        rows = saved_lines(folder, record.labels[part])
        predictions = [row["prediction"] for row in saved_lines(folder, record.predictions[part])]
        kept = [(p, row["label"]) for p, row in zip(predictions, rows, strict=True) if wanted in ("", row["slice"])]
        value = auditor.values(Rows([p for p, _ in kept], [label for _, label in kept]))[spec.name]
        if value != record.metrics[spec.key].value:
            yield f"run {record.run_id}, {spec.key}: recorded {record.metrics[spec.key].value}, evaluated again {value}"
