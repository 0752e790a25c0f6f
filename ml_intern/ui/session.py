"""One session as a person sees it in a terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ml_intern.judge.verdict import Verdict
from ml_intern.read.show import printable
from ml_intern.session.events import Event
from ml_intern.session.state import LATEST, State
from ml_intern.ui.live import describe
from ml_intern.ui.spending import money

_LATEST = 12  # events that are shown


def show_session(
    id: str,
    status: str,
    state: State,
    events: Sequence[Event],
    size: int,
    console: Console,
    all_events: bool = False,
    problem: str = "",
) -> None:
    """What is known of it, its latest events or all of them, and what is wrong behind the last one (`problem`)."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in _facts(id, status, state, len(events), size):
        if value:
            table.add_row(name, Text(printable(value)))
    console.print(table)
    console.print()
    latest = [one for one in events if describe(one) or one.type.startswith("session.")][-_LATEST:]
    for event in events if all_events else latest:
        when = time.strftime("%m-%d %H:%M:%S", time.localtime(event.time if 0 <= event.time <= LATEST else 0))
        console.print(
            f"{event.seq:>6}  {when}  {printable(describe(event) or event.type)}", soft_wrap=True, markup=False
        )
    if problem:
        console.print(printable(problem), soft_wrap=True, markup=False)


def _facts(id: str, status: str, state: State, events: int, size: int) -> list[tuple[str, str]]:
    settings = state.settings
    limits = [f"{settings.get('max_iterations', 0)} model calls"]
    limits += [f"${settings['budget_usd']:.2f}"] if settings.get("budget_usd") is not None else []
    limits += [f"{settings['time_limit']:.0f} s"] if settings.get("time_limit") is not None else []
    outcomes = [f"{one['claim']}: {Verdict.model_validate(one).word}" for one in state.verdicts]
    return [
        ("session", id),
        ("status", f"{status}{f', in phase {state.phase}' if status != 'finished' and state.phase else ''}"),
        (
            "task" if "task" in settings else "paper",
            settings.get("task", "") or state.title or str(settings.get("paper", "")),
        ),
        ("begun", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(state.created))),
        ("last event", time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(state.updated))),
        ("worked", f"{state.seconds:.0f} s"),
        ("model", ", ".join(state.models) or str(settings.get("model", ""))),
        ("used", f"{state.iterations} model calls, {money(state)}; of {', '.join(limits)}"),
        ("sandbox", state.sandbox),
        ("plan", state.plan[:16] or ("drafted, not approved" if state.drafted else "")),
        ("experiments", ", ".join([*state.built, *(f"{one} (given up)" for one in state.blocked)])),
        ("runs", str(state.runs or "")),
        ("approved", ", ".join(f"{tool} (for the session)" for tool in state.always)),
        ("questions", "; ".join(f"{one.id} {one.outcome}: {one.question}" for one in state.questions)),
        ("runs used", _used(state)),
        ("verdicts", "; ".join(outcomes)),
        ("published", state.published),
        ("uploaded to", state.synced),
        ("forked from", state.forked_from),
        ("error", state.error),
        ("size", f"{bytes_in_words(size)}, {events} events"),
    ]


def _used(state: State) -> str:
    """Of what is approved for runs; empty where they used no GPU and cost nothing."""
    held = list(state.reserved.values())
    minutes, usd = state.gpu_seconds / 60, state.run_micro / 1e6
    parts = [f"{minutes:.1f} GPU minutes"] if minutes or held else []
    parts += [f"{sum(one[0] for one in held) / 60:.1f} more held"] if held else []
    return ", ".join(parts + ([f"${usd:.2f}"] if usd else []))


def bytes_in_words(count: float) -> str:
    unit, *larger = "B", "kB", "MB", "GB", "TB"
    while count >= 1000 and larger:
        count, unit = count / 1000, larger.pop(0)
    return f"{count:.0f} {unit}" if count >= 10 or unit == "B" else f"{count:.1f} {unit}"
