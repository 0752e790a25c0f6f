"""What is exported, and what is counted about it. Everything here follows from events and state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ml_intern.session.events import Event
from ml_intern.session.export.messages import Said
from ml_intern.session.export.texts import iso, number
from ml_intern.session.state import State


@dataclass(frozen=True)
class Session:
    """`folder` is where it lies, as text; `status` overrules the state's, where more is known; `statements`: claim id
    to what it says, where a plan is at hand; `outputs`: digest to text of what events keep beside the log."""

    id: str
    events: tuple[Event, ...]
    state: State
    folder: str = ""
    status: str = ""
    statements: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def shown_status(self) -> str:
        return self.status or self.state.status

    @property
    def name(self) -> str:
        return self.state.title or self.id


@dataclass(frozen=True)
class Facts:
    """`seconds`: while a program worked on it. `models` in the order in which they were asked;
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
    lost = [event.data for event in events if event.type in ("model.retried", "model.failed")]
    measured = [event.data for event in events if event.type in ("evidence.recorded", "run.finished")]
    return Facts(
        started=events[0].time if events else 0.0,
        ended=events[-1].time if events else 0.0,
        seconds=session.state.seconds,
        models=session.state.models,
        calls=session.state.iterations,
        input_tokens=sum(one.input_tokens for one in replies)
        + sum(int(number(one.get("input_tokens"))) for one in lost),
        output_tokens=sum(one.output_tokens for one in replies)
        + sum(int(number(one.get("output_tokens"))) for one in lost),
        cost_usd=session.state.cost_usd,
        cost_unknown=session.state.cost_unknown,
        tools=len(tools),
        tools_failed=sum(one.outcome == "failed" for one in tools),
        tools_unknown=sum(one.outcome == "unknown" for one in tools),
        runs=len(measured),
        runs_failed=sum(data.get("outcome") not in (None, "ok") for data in measured),
        resumed=sum(event.type == "session.resumed" for event in events),
    )
