"""The live view: phase, runs with progress, budget, and an estimate of the rest."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ml_intern.session.events import Event, EventType
from ml_intern.ui.live import LiveTable, last_row


def event(type: EventType, **data: Any) -> Event:
    return Event(seq=0, type=type, time=0.0, mono=0.0, data=data, previous="", checksum="")


def drawn(view: LiveTable) -> str:
    console = Console(file=io.StringIO(), width=160, force_terminal=False)
    console.print(view._draw())
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def finished(run: str) -> Event:
    return event(
        "evidence.recorded",
        run=run, experiment="e", variant="v", seed=1, phase="confirm", outcome="ok", seconds=1.0,
        metrics={"accuracy@test": 0.5},
    )  # fmt: skip


def test_the_estimate_counts_the_runs_that_are_still_to_do_also_those_of_a_second_look() -> None:
    view = LiveTable(Console(file=io.StringIO()), 300)
    view(event("phase.started", phase="experiments", runs=3))
    view(finished("r1"))
    assert "runs 1/3" in drawn(view) and "s left" in drawn(view)
    view(event("phase.started", phase="second look", experiment="e", runs=2))
    assert "runs 1/5" in drawn(view)
    assert "second look e" in drawn(view)


def test_a_run_in_progress_shows_its_step_and_last_loss(tmp_path: Path) -> None:
    metrics = tmp_path / "metrics.jsonl"
    rows = [{"step": 1, "total": 4, "validation_loss": 0.75}, {"step": 2, "total": 4, "validation_loss": 0.25}]
    metrics.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 3, "tot')
    view = LiveTable(Console(file=io.StringIO()), 300)
    view(event("run.started", run="r1", experiment="e", variant="v", seed=7, phase="confirm", metrics=str(metrics)))
    assert "validation_loss 0.25" in drawn(view)
    view(finished("r1"))
    assert "validation_loss" not in drawn(view)


def test_model_calls_are_counted_against_the_budget() -> None:
    view = LiveTable(Console(file=io.StringIO()), 7)
    view(event("model.asked", purpose="plan"))
    assert "model calls 1/7" in drawn(view)


def test_a_metrics_file_that_is_missing_or_no_json_gives_an_empty_row(tmp_path: Path) -> None:
    assert last_row(tmp_path / "none") == {}
    (tmp_path / "bad").write_text("{nonsense}\n")
    assert last_row(tmp_path / "bad") == {}


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_file_is_neither_waited_for_nor_followed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "metrics.jsonl"
    {"pipe": os.mkfifo, "link": lambda one: one.symlink_to("/dev/zero"), "folder": Path.mkdir}[kind](path)
    assert last_row(path) == {}
