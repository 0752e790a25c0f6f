"""The live view: phase, runs with progress, budget, and an estimate of the rest."""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ml_intern.session.events import Event, EventType
from ml_intern.session.state import fold
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
    view = LiveTable(Console(file=io.StringIO()))
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
    view = LiveTable(Console(file=io.StringIO()))
    view(event("run.started", run="r1", experiment="e", variant="v", seed=7, phase="confirm", metrics=str(metrics)))
    assert "validation_loss 0.25" in drawn(view)
    view(finished("r1"))
    assert "validation_loss" not in drawn(view)


def drawn_at(view: LiveTable, rows: int, columns: int) -> list[str]:
    console = Console(file=io.StringIO(), width=columns, height=rows, force_terminal=False)
    view._console = console
    console.print(view._draw())
    return str(console.file.getvalue()).splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("running", [1, 3, 40])
@pytest.mark.parametrize(("rows", "columns"), [(24, 80), (50, 200)])
def test_long_names_and_notes_leave_the_runs_and_the_hint_on_the_screen(rows: int, columns: int, running: int) -> None:
    view = LiveTable(Console(file=io.StringIO()), hint="Enter: say something")
    name = "transformer-ablations-on-digits"
    view(created(budget_usd=2.0, time_limit=3600.0))
    view(event("phase.started", phase="second look", experiment=name, runs=30))
    for number in range(8):
        metrics = {"accuracy@test:far-outside": 0.5, "log_loss@train": 0.25}
        view(event("evidence.recorded", run=f"f{number}", experiment=name, variant="without-smoothing", seed=12345,
                   phase="confirm", outcome="ok", seconds=1.0, metrics=metrics))  # fmt: skip
    for number in range(running):
        about = {"experiment": name, "variant": f"with-{number}", "seed": 123, "phase": "confirm", "metrics": "/none"}
        view(event("run.started", run=f"r{number}", **about))
    for number in range(4):
        view(event("note", text=f"note {number}: " + "words and more words " * 30))
    shown = drawn_at(view, rows, columns)
    assert len(shown) < rows and all(len(line) <= columns for line in shown)
    assert "Enter: say something" in shown[-1] and sum("note" in line for line in shown) == 4
    in_sight = sum("with-" in line for line in shown)
    assert in_sight == running or (in_sight > 5 and f"and {running - in_sight} more that run" in "\n".join(shown))
    assert any(" ok " in line for line in shown)


def created(**limits: Any) -> Event:
    return event("session.created", settings={"max_iterations": 7, "budget_usd": None, "time_limit": None, **limits})


def asked(held: int = 0) -> Event:
    return event("model.asked", purpose="plan", model="m", held=held)


def test_every_limit_of_the_budget_is_shown_with_what_is_used_and_held() -> None:
    view = LiveTable(Console(file=io.StringIO()))
    view(created(budget_usd=2.0, time_limit=3600.0))
    view(asked(held=40_000))
    shown = drawn(view)
    assert "model calls 1/7" in shown and "$0.0000 + $0.0400 held of $2.00" in shown and " s of 3600 s" in shown
    view(event("model.replied", purpose="plan", cost_usd=0.0125))
    assert "$0.0125 of $2.00" in drawn(view)
    view(asked(held=40_000))
    view(event("model.failed", purpose="plan", unclear=True))
    assert "model calls 2/7" in drawn(view) and "$0.0125 + $0.0400 held" in drawn(view)
    view(event("note", text="A person changed the settings.", settings={"max_iterations": 9}))
    assert "model calls 2/9" in drawn(view)


def test_a_price_that_nobody_knows_is_never_shown_as_zero() -> None:
    view = LiveTable(Console(file=io.StringIO()))
    view(created())
    view(asked())
    assert "$" not in drawn(view)
    view(event("model.replied", purpose="plan", cost_usd=None))
    assert "cost unknown" in drawn(view) and "$" not in drawn(view)
    view(asked())
    view(event("model.replied", purpose="plan", cost_usd=0.5))
    assert "cost unknown, $0.5000 of it known" in drawn(view)


def test_a_resumed_run_shows_what_was_used_before_and_no_time_of_a_pause() -> None:
    view = LiveTable(Console(file=io.StringIO()))
    view.take_up(fold([created(), asked(), event("model.replied", cost_usd=0.25)]).model_copy(update={"seconds": 500}))
    view(asked())
    assert "model calls 2/7" in drawn(view) and "$0.2500" in drawn(view) and "500 s" in drawn(view)
    view(event("note", text="The run was paused for 300 s.", paused=300.0))
    assert "200 s" in drawn(view)


def test_a_metrics_file_that_is_missing_or_no_json_gives_an_empty_row(tmp_path: Path) -> None:
    assert last_row(tmp_path / "none") == {}
    (tmp_path / "bad").write_text("{nonsense}\n")
    assert last_row(tmp_path / "bad") == {}


@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_what_is_no_file_is_neither_waited_for_nor_followed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "metrics.jsonl"
    {"pipe": os.mkfifo, "link": lambda one: one.symlink_to("/dev/zero"), "folder": Path.mkdir}[kind](path)
    assert last_row(path) == {}
