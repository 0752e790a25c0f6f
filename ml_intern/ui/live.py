"""What a person sees while a run goes on: a live table on a terminal, plain lines elsewhere, or one event a line."""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.control import Control
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ml_intern.read.show import printable
from ml_intern.session.events import Event
from ml_intern.session.state import State, fold
from ml_intern.ui.spending import spending

_WIDE = 100  # columns from which a seed has room
_AROUND = 4  # rows for the head, which may wrap, the names of the columns, and what is hidden


class View(Protocol):
    """Is told of every event; `open` is the time in which it may draw; `take_up` tells it what was before this
    process. Inside `paused` it draws nothing, so that what others write, and what is typed, stays on the screen;
    `below`: so many rows the cursor has been moved down since it drew, by what was typed. It gives whether anything
    was wiped away."""

    def __call__(self, event: Event) -> None: ...

    def take_up(self, state: State) -> None: ...

    def open(self) -> contextlib.AbstractContextManager[object]: ...

    def paused(self, below: int = 0) -> contextlib.AbstractContextManager[bool]: ...


class Silent:
    def __call__(self, event: Event) -> None:
        return

    def take_up(self, state: State) -> None:
        return

    def open(self) -> contextlib.AbstractContextManager[object]:
        return contextlib.nullcontext()

    def paused(self, below: int = 0) -> contextlib.AbstractContextManager[bool]:
        return contextlib.nullcontext(False)


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
        case "approval":
            said = {"allow": "allowed", "refuse": "refused"}.get(data["decision"], "not approved, the run stops")
            return f"{data['tool']} ({data['kind']}): {said} by {data['by']}"
        case "question":
            said = "was answered" if data["outcome"] == "answered" else "was not answered: the plan stays as it is"
            said = f"was not answered; decided: {data['meanwhile']}" if data["outcome"] == "deferred" else said
            return f"question {data['id']} ({data['question']}) {said}"
        case "evidence.recorded":
            shown = ", ".join(f"{key} {value:.4g}" for key, value in data["metrics"].items() if value is not None)
            name = f"{data['experiment']}/{data['variant']} seed {data['seed']}"
            return f"{data['phase']}: {name}: {data['outcome']} in {data['seconds']:.1f} s; {shown}"
        case "run.finished":
            return f"smoke: {data['experiment']}/{data['variant']}: {data['outcome']} in {data['seconds']:.1f} s"
        case "experiment.blocked":
            return f"{data['experiment']} was given up: {_first_line(data['reason'])}"
        case "amendment":
            return f"amendment of {data['experiment']}: {_first_line(data['reason'])}"
        case "plan.reviewed":
            return f"the planner, after {data['experiment']}: {data['decision']}; {_first_line(data['reason'])}"
        case "model.retried" if not data["refused"]:
            return f"the model did not answer: {data['error']}; it is asked again in {data['pause']:.0f} s"
        case "conversation.told" if "inbox" in data:
            return "the model hears what a person said"
        case "note" | "doom.warning":
            return str(data["text"])
    return ""


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0] or "no reason was given"


class LiveTable:
    """Phase, runs with progress and last metric, budget, elapsed and estimated rest; beside the experiments a `hint`
    about what can be typed."""

    def __init__(self, console: Console, hint: str = "") -> None:
        self._console, self._hint = console, hint
        self._state = State()
        self._started = time.monotonic()
        self._phase = ""
        self._expected = 0
        self._began = self._started
        self._finished: list[dict[str, Any]] = []
        self._running: dict[str, dict[str, Any]] = {}
        self._lines: list[str] = []
        self._live: Live | None = None
        self._is_open = False
        self._pauses = 0
        self._drawing = threading.RLock()  # the terminal is paused for by the run, and by whoever reads the keys

    def take_up(self, state: State) -> None:
        self._state = state
        self._started = time.monotonic() - state.seconds

    def __call__(self, event: Event) -> None:
        data = event.data
        self._state = fold([event], self._state)
        self._started += data.get("paused", 0.0)
        if event.type == "phase.started":
            self._phase = " ".join(filter(None, (data["phase"], data.get("experiment", ""))))
            if "runs" in data:
                self._began = self._began if self._expected else time.monotonic()
                self._expected += data["runs"]
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
        self._is_open = True
        try:
            self._redraw()
            yield
        finally:
            self._is_open = False
            self._redraw()

    @contextlib.contextmanager
    def paused(self, below: int = 0) -> Iterator[bool]:
        with self._drawing:
            is_drawn = self._live is not None
            if is_drawn and below:
                self._console.control(Control.move(0, -below))
            self._pauses += 1
            self._redraw()
        try:
            yield is_drawn
        finally:
            with self._drawing:
                self._pauses -= 1
                self._redraw()

    def _redraw(self) -> None:
        """The table stands on the screen where it is open and nobody has it paused, else it is wiped away."""
        with self._drawing:
            wanted = self._is_open and not self._pauses
            if wanted and self._live is None:
                # A new one each time: a stopped one still wipes as many rows as it had.
                self._live = Live(get_renderable=self._now, console=self._console, transient=True)
                self._live.start()
                # Live hides it, and a run that is killed or suspended would leave it so.
                self._console.show_cursor(True)
            elif not wanted and self._live is not None:
                live, self._live = self._live, None
                live.stop()

    def _now(self) -> RenderableType:
        """Nothing once it is to be wiped away: a last drawing could be higher than the screen."""
        return self._draw() if self._live is not None else Text()

    def _draw(self) -> RenderableType:
        head = f"{self._phase}   {spending(self._state, time.monotonic() - self._started)}"
        if self._expected and self._finished:
            since = time.monotonic() - self._began
            rest = since / len(self._finished) * max(0, self._expected - len(self._finished))
            head += f"   runs {len(self._finished)}/{self._expected}   about {rest:.0f} s left"
        lines = [_in_two_rows(line, self._console.width) for line in self._lines]
        lines += [self._hint] if self._hint and self._expected else []
        running = list(self._running.values())
        room = max(2, self._console.height - _AROUND - 2 * len(lines))  # for rows of the table
        finished = self._finished[-8:][-max(1, room - len(running)) :]
        hidden = max(0, len(running) - max(1, room - len(finished)))
        table = self._table(finished, running[hidden:])
        lines = ([f"and {hidden} more that run"] if hidden else []) + lines
        return Group(Text(head, style="bold"), table, *[Text(line, style="dim") for line in lines])

    def _table(self, finished: list[dict[str, Any]], running: list[dict[str, Any]]) -> Table:
        """One row on the screen for each run, however narrow that is."""
        wide = self._console.width >= _WIDE
        table = Table(box=None, padding=(0, 2, 0, 0))
        least = {"experiment": 12, "variant": 12, **({"seed": 10} if wide else {}), "progress": 10, "last": 12}
        for column, width in least.items():
            table.add_column(column, no_wrap=True, overflow="ellipsis", min_width=width)

        def add(data: dict[str, Any], progress: RenderableType, last: str) -> None:
            seed = [str(data["seed"])] if wide else []
            table.add_row(*map(Text, (data["experiment"], data["variant"], *seed)), progress, Text(printable(last)))

        for data in finished:
            shown = ", ".join(f"{k} {v:.3g}" for k, v in list(data["metrics"].items())[:2] if v is not None)
            add(data, Text(data["outcome"]), shown)
        for data in running:
            row = last_row(Path(data["metrics"]))
            share = row.get("step", 0) / max(row.get("total", 1), 1) if row else 0.0
            last = ", ".join(f"{k} {v:.3g}" for k, v in row.items() if k.endswith("loss") and isinstance(v, float))
            add(data, ProgressBar(total=1.0, completed=min(1.0, share), width=20 if wide else 10), last)
        return table


def _in_two_rows(line: str, width: int) -> str:
    """A long note must not push the runs off the screen; all of it is in the log."""
    most = width * 2 - width // 4  # words wrap before the edge
    return line if len(line) <= most else f"{line[: most - 1]}…"


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
