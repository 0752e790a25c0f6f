"""State of a session: a pure fold over its events."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ml_intern.session.events import Event

Status = Literal["new", "running", "interrupted", "failed", "finished"]


class State(BaseModel):
    """`seconds`: while a program worked on it, by the monotonic clock (`mono`: its last reading). `iterations`: model
    calls so far. `built`: experiment id to hash of its frozen scripts. `plan`: digest of the approved plan. `models`:
    every one that was asked. `synced`: the repository that it is uploaded to. `held`: micro-dollars of calls whose end
    nobody knows, `held_open` of one that goes on. `blocked`: experiment id to the reason it was given up. `sandbox`:
    the kind that its scripts run in."""

    model_config = ConfigDict(frozen=True)

    status: Status = "new"
    created: float = 0.0
    updated: float = 0.0
    mono: float = 0.0
    seconds: float = 0.0
    settings: dict[str, Any] = {}
    sandbox: str = ""
    phase: str = ""
    title: str = ""
    drafted: bool = False
    plan: str = ""
    models: tuple[str, ...] = ()
    iterations: int = 0
    cost_usd: float = 0.0
    held: int = 0
    held_open: int = 0
    cost_unknown: bool = False
    built: dict[str, str] = {}
    blocked: dict[str, str] = {}
    runs: int = 0
    verdicts: tuple[dict[str, Any], ...] = ()
    published: str = ""
    error: str = ""
    forked_from: str = ""
    synced: str = ""
    notes: tuple[str, ...] = ()
    amendments: tuple[str, ...] = ()


_BEGINNINGS = ("session.created", "session.resumed", "session.forked", "session.fetched", "log.recovered")


def fold(events: Iterable[Event], start: State | None = None) -> State:
    """The state after `events`; fold(a + b) == fold(b, fold(a))."""
    return reduce(_step, events, start or State())


def _step(state: State, event: Event) -> State:
    changes: dict[str, Any] = {"updated": event.time, "mono": event.mono}
    if event.type not in _BEGINNINGS:
        changes["seconds"] = state.seconds + max(0.0, event.mono - state.mono)
    data = event.data
    match event.type:
        case "session.created":
            changes |= {"status": "running", "created": event.time, "settings": data["settings"]}
        case "session.resumed":
            changes |= {"status": "running", "error": "", "settings": data.get("settings", state.settings)}
        case "session.forked":
            changes |= {"status": "interrupted", "forked_from": f"{data['origin']} at {data['seq']}", "published": ""}
            changes["settings"] = {**state.settings, "out": ""}
        case "session.fetched":
            changes |= {"status": "interrupted", "settings": {**state.settings, "out": ""}}
        case "session.synced":
            changes["synced"] = data["repo"]
        case "sandbox.chosen":
            changes["sandbox"] = data["kind"]
        case "phase.started":
            changes["phase"] = data["phase"]
        case "paper.read":
            changes["title"] = data["title"]
        case "plan.drafted":
            changes["drafted"] = True
        case "plan.approved":
            changes["plan"] = data["digest"]
        case "model.asked":
            # A call that nothing followed was cut off by a crash: what it held stays held.
            held = state.held + state.held_open
            changes |= {"iterations": state.iterations + 1, "held": held, "held_open": data.get("held", 0)}
            if data["model"] not in state.models:
                changes["models"] = (*state.models, data["model"])
        case "model.replied":
            cost = data.get("cost_usd")
            changes |= {"cost_usd": state.cost_usd + (cost or 0.0), "cost_unknown": state.cost_unknown or cost is None}
            changes["held_open"] = 0
            if (by := data.get("answered_by")) and by not in state.models:
                changes["models"] = (*state.models, by)
        case "model.failed":
            changes |= {"held": state.held + (state.held_open if data["unclear"] else 0), "held_open": 0}
        case "experiment.built":
            changes["built"] = {**state.built, data["experiment"]: data["scripts"]}
        case "experiment.blocked":
            changes["blocked"] = {**state.blocked, data["experiment"]: data["reason"]}
        case "evidence.recorded":
            changes["runs"] = state.runs + 1
        case "amendment":
            changes["amendments"] = (*state.amendments, data["reason"])
        case "note":
            changes["notes"] = (*state.notes, data["text"])
        case "verdicts":
            changes["verdicts"] = tuple(data["verdicts"])
        case "published":
            changes["published"] = data["path"]
        case "session.interrupted":
            changes["status"] = "interrupted"
        case "session.failed":
            changes |= {"status": "failed", "error": data["error"]}
        case "session.finished":
            changes["status"] = "finished"
    return state.model_copy(update=changes)
