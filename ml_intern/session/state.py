"""State of a session: a pure fold over its events."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ml_intern.errors import SessionError
from ml_intern.session.events import Event

_LATEST = 253_402_300_799  # the end of the year 9999, beyond which no clock shows anything
Status = Literal["new", "running", "interrupted", "failed", "finished"]


class State(BaseModel):
    """`seconds`: while a program worked on it, by the monotonic clock (`mono`: its last reading). `iterations`: model
    calls so far. `built`: experiment id to hash of its frozen scripts. `plan`: digest of the approved plan. `models`:
    every one that was asked. `synced`: the repository that it is uploaded to. `held`: micro-dollars of calls whose end
    nobody knows, `held_open` of one that goes on. `blocked`: experiment id to the reason it was given up. `sandbox`:
    the kind that its scripts run in. `came`: the repository that it was fetched from, until a person here has said that
    it goes on; `unapproved`: nobody here has approved the plan that it came with."""

    model_config = ConfigDict(frozen=True)

    status: Status = "new"
    created: float = Field(default=0.0, ge=0, le=_LATEST)
    updated: float = Field(default=0.0, ge=0, le=_LATEST)
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
    came: str = ""
    unapproved: bool = False
    notes: tuple[str, ...] = ()
    amendments: tuple[str, ...] = ()


# What a session that came from elsewhere may ask for: any other would weaken what this machine chooses by itself.
_STRICT = ("bubblewrap", "docker")
_BEGINNINGS = ("session.created", "session.resumed", "session.forked", "session.fetched", "log.recovered")


def fold(events: Iterable[Event], start: State | None = None) -> State:
    """The state after `events`; fold(a + b) == fold(b, fold(a)). Raises SessionError where an event is whole and says
    what no session says: a log may have come from anybody."""
    return reduce(_understood, events, start or State())


def _understood(state: State, event: Event) -> State:
    try:
        return _step(state, event)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise SessionError(
            f"Event {event.seq} of the session's log ({event.type}) cannot be understood.",
            f"{type(error).__name__}: {error}",
        ) from None


def _step(state: State, event: Event) -> State:
    changes: dict[str, Any] = {"updated": event.time, "mono": event.mono}
    if event.type not in _BEGINNINGS:
        changes["seconds"] = state.seconds + max(0.0, event.mono - state.mono) - event.data.get("paused", 0.0)
    data = event.data
    match event.type:
        case "session.created":
            changes |= {"status": "running", "created": event.time, "settings": data["settings"]}
        case "session.resumed":
            changes |= {"status": "running", "error": "", "settings": data.get("settings", state.settings), "came": ""}
        case "session.forked":
            changes |= {"status": "interrupted", "forked_from": f"{data['origin']} at {data['seq']}", "published": ""}
            changes["settings"] = {**state.settings, "out": ""}
        case "session.fetched":
            changes |= _arrived(state, data["repo"])
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
            changes |= {"plan": data["digest"], "unapproved": False}
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
            if "settings" in data:
                changes["settings"] = {**state.settings, **data["settings"]}
        case "conversation.told":
            if "inbox" in data:  # whoever reads the report knows that the model was helped
                said = f"A person said something to the model in `{data['purpose']}`; the session's log has the words."
                changes["notes"] = (*state.notes, said)
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


def _arrived(state: State, repo: str) -> dict[str, Any]:
    """What of it does not hold on this machine: where it publishes and uploads to, a weak sandbox, the approval."""
    asked = state.sandbox or state.settings.get("sandbox", "auto")
    sandbox = asked if asked in _STRICT else "auto"
    settings = {**state.settings, "out": "", "sync": "", "sandbox": sandbox}
    return {
        "status": "interrupted",
        "settings": settings,
        "sandbox": sandbox,
        "synced": repo,
        "came": repo,
        "unapproved": True,
    }
