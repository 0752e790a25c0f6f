"""What a person sees while a run goes on: a live table on a terminal, plain lines elsewhere, or one event a line."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ml_intern.read.show import printable
from ml_intern.session.events import Event


class View(Protocol):
    """Is told of every event; `open` is the time in which it may draw."""

    def __call__(self, event: Event) -> None: ...

    def open(self) -> contextlib.AbstractContextManager[object]: ...


class Silent:
    def __call__(self, event: Event) -> None:
        return

    def open(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()


class JsonLines(Silent):
    """One event a line on stdout."""

    def __call__(self, event: Event) -> None:
        sys.stdout.write(json.dumps(event.model_dump(mode="json"), ensure_ascii=False) + "\n")
        sys.stdout.flush()


class PlainLines(Silent):
    """One short line for what a person wants to know, on stderr."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def __call__(self, event: Event) -> None:
        if line := describe(event):
            seconds = time.monotonic() - self._started
            sys.stderr.write(f"[{seconds:6.1f} s] {printable(line)}\n")
            sys.stderr.flush()


def describe(event: Event) -> str:
    """An event in a line; empty for those that only a log needs."""
    data = event.data
    match event.type:
        case "phase.started":
            return f"phase: {data['phase']}" + (f" {data['experiment']}" if "experiment" in data else "")
        case "sandbox.chosen":
            return f"sandbox: tier {data['tier']}"
        case "resource.fetched":
            return f"resource {data['name']}: {data['shown']}"
        case "paper.read":
            if data.get("kind") == "task":
                return f"task: {data['title']}"
            return f"read {data['title']!r}: {data['sections']} sections, {data['tables']} tables"
        case "claims.grounded":
            return f"{data['kept']} claims grounded, {len(data['dropped'])} dropped, {len(data['findings'])} findings"
        case "plan.approved":
            return f"plan approved: {data['digest'][:16]}"
        case "evidence.recorded":
            shown = ", ".join(f"{key} {value:.4g}" for key, value in data["metrics"].items() if value is not None)
            name = f"{data['experiment']}/{data['variant']} seed {data['seed']}"
            return f"{data['phase']}: {name}: {data['outcome']} in {data['seconds']:.1f} s; {shown}"
        case "run.finished":
            return f"smoke: {data['experiment']}/{data['variant']}: {data['outcome']} in {data['seconds']:.1f} s"
        case "experiment.blocked":
            return f"{data['experiment']} was given up: {data['reason'].splitlines()[0]}"
        case "conversation.told" if "inbox" in data:
            return "the model hears what a person said"
        case "note" | "doom.warning":
            return str(data["text"])
    return ""


class LiveTable:
    """Phase, runs with progress and last metric, budget, elapsed and estimated rest."""

    def __init__(self, console: Console, max_iterations: int) -> None:
        self._console = console
        self._max_iterations = max_iterations
        self._started = time.monotonic()
        self._phase = ""
        self._iterations = 0
        self._expected = 0
        self._began = self._started
        self._finished: list[dict[str, Any]] = []
        self._running: dict[str, dict[str, Any]] = {}
        self._lines: list[str] = []

    def __call__(self, event: Event) -> None:
        data = event.data
        if event.type == "phase.started":
            self._phase = " ".join(filter(None, (data["phase"], data.get("experiment", ""))))
            if "runs" in data:
                self._began = self._began if self._expected else time.monotonic()
                self._expected += data["runs"]
        elif event.type == "model.asked":
            self._iterations += 1
        elif "max_iterations" in data.get("settings", {}):
            self._max_iterations = data["settings"]["max_iterations"]
        elif event.type == "run.started":
            self._running[data["run"]] = {**data, "since": time.monotonic()}
        elif event.type in ("evidence.recorded", "run.finished"):
            self._running.pop(data["run"], None)
            if event.type == "evidence.recorded":
                self._finished.append(data)
        elif line := describe(event):
            self._lines = [*self._lines, printable(line)][-4:]

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        with Live(get_renderable=self._draw, console=self._console, refresh_per_second=4, transient=True):
            yield

    def _draw(self) -> RenderableType:
        elapsed = time.monotonic() - self._started
        head = f"{self._phase}   {elapsed:.0f} s   model calls {self._iterations}/{self._max_iterations}"
        if self._expected and self._finished:
            since = time.monotonic() - self._began
            rest = since / len(self._finished) * max(0, self._expected - len(self._finished))
            head += f"   runs {len(self._finished)}/{self._expected}   about {rest:.0f} s left"
        table = Table(box=None, padding=(0, 2, 0, 0))
        for column in ("experiment", "variant", "seed", "progress", "last"):
            table.add_column(column)
        for data in self._finished[-8:]:
            shown = ", ".join(f"{k} {v:.3g}" for k, v in list(data["metrics"].items())[:2] if v is not None)
            table.add_row(data["experiment"], data["variant"], str(data["seed"]), data["outcome"], shown)
        for data in list(self._running.values()):
            row = last_row(Path(data["metrics"]))
            share = row.get("step", 0) / max(row.get("total", 1), 1) if row else 0.0
            last = ", ".join(f"{k} {v:.3g}" for k, v in row.items() if k.endswith("loss") and isinstance(v, float))
            bar = ProgressBar(total=1.0, completed=min(1.0, share), width=20)
            table.add_row(data["experiment"], data["variant"], str(data["seed"]), bar, printable(last))
        return Group(Text(head, style="bold"), table, *[Text(line, style="dim") for line in self._lines])


def last_row(path: Path) -> dict[str, Any]:
    """The last whole line of a `metrics.jsonl` that is being written; empty when there is none."""
    try:
        # A script may have put a pipe or a link there, at any moment.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return {}
            file.seek(max(0, os.fstat(handle).st_size - 4096))
            lines = [line for line in file.read(4096).splitlines() if line.startswith(b"{") and line.endswith(b"}")]
        row = json.loads(lines[-1]) if lines else {}
        return row if isinstance(row, dict) else {}
    except (OSError, ValueError):
        return {}
