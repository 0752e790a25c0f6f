"""What is exported, and what is counted about it. Everything here follows from events and state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from ml_intern.session.events import Event
from ml_intern.session.export.messages import Said
from ml_intern.session.export.texts import iso, plain
from ml_intern.session.state import State

GOES_ON = ("session.resumed", "session.forked", "log.recovered")  # nobody worked in the time before these


@dataclass(frozen=True)
class Session:
    """`folder` is where it lies, as text; `statements`: claim id to what it says, where a plan is at hand."""

    id: str
    events: tuple[Event, ...]
    state: State
    folder: str = ""
    statements: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.state.title or self.id


@dataclass(frozen=True)
class Facts:
    """`seconds`: of work, without the time between an end and a resume. `models` in the order in which they were asked;
    `tools_failed` and `tools_unknown` are among `tools`."""

    started: float
    ended: float
    seconds: float
    models: tuple[str, ...]
    calls: int
    input_tokens: int
    output_tokens: int
    cost_usd: float
    cost_unknown: bool
    tools: int
    tools_failed: int
    tools_unknown: int
    runs: int
    runs_failed: int
    resumed: int

    def as_dict(self) -> dict[str, Any]:
        times = {"started": iso(self.started), "ended": iso(self.ended)}
        return {**vars(self), **times}


def facts(session: Session, said: list[Said]) -> Facts:
    events = session.events
    tools = [one for one in said if one.role == "tool" and one.outcome != "not carried out"]
    replies = [one for one in said if one.role == "assistant" and one.model]
    asked = [plain(event.data.get("model")) for event in events if event.type == "model.asked"]
    measured = [event.data for event in events if event.type in ("evidence.recorded", "run.finished")]
    return Facts(
        started=events[0].time if events else 0.0,
        ended=events[-1].time if events else 0.0,
        seconds=sum(_stretches(events)),
        models=tuple(dict.fromkeys(model for model in asked if model)),
        calls=len(asked),
        input_tokens=sum(one.input_tokens for one in replies),
        output_tokens=sum(one.output_tokens for one in replies),
        cost_usd=session.state.cost_usd,
        cost_unknown=session.state.cost_unknown,
        tools=len(tools),
        tools_failed=sum(one.outcome == "failed" for one in tools),
        tools_unknown=sum(one.outcome == "unknown" for one in tools),
        runs=len(measured),
        runs_failed=sum(data.get("outcome") not in (None, "ok") for data in measured),
        resumed=sum(event.type == "session.resumed" for event in events),
    )


def _stretches(events: tuple[Event, ...]) -> Iterator[float]:
    """Seconds between neighbouring events of one go at the session."""
    for before, event in pairwise(events):
        yield 0.0 if event.type in GOES_ON else max(0.0, event.time - before.time)
