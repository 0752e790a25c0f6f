"""State of a session: a pure fold over its events."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from ml_intern.errors import DoomLoop, SessionError
from ml_intern.session.events import Event

CIRCLED = "doom loop"  # how the reason begins for which an experiment was given up that went in circles
LATEST = 253_402_300_799  # the end of the year 9999, beyond which no clock shows anything
Status = Literal["new", "running", "interrupted", "failed", "finished"]


class Question(BaseModel):
    """What the model asked the person in the conversation `purpose`. `meanwhile`: what it does without an answer.
    `changes`: what of the approved plan an answer would change. `outcome`: the person answered; it was decided as
    `meanwhile` says, until somebody answers; or it is not for the model to decide, and the plan stayed as it was."""

    model_config = ConfigDict(frozen=True)

    id: str
    purpose: str
    question: str
    meanwhile: str
    changes: str = "nothing"
    outcome: Literal["answered", "deferred", "refused"]

    @property
    def decided(self) -> str:
        return self.meanwhile if self.outcome == "deferred" else "nothing: the plan stayed as it was approved"


class State(BaseModel):
    """`seconds`: while a program worked on it, by the monotonic clock (`mono`: its last reading). `iterations`: model
    calls so far. `built`: experiment id to hash of its frozen scripts. `plan`: digest of the approved plan. `models`:
    every one that was asked. `synced`: the repository that it is uploaded to. `held`: micro-dollars of calls whose end
    nobody knows, `held_open` of one that goes on. `blocked`: experiment id to the reason it was given up; `failures`:
    the reasons of all its tries that were; `doomed`: the session was stopped because it went in circles. `reviewed`:
    after which tries the planner has looked, as `ID/TRIES`. `amendments`: of the approved plan, in order, as they were
    logged. `grounded`: its claims were checked against the paper; `unchecked`: why not. `sandbox`: the kind that its
    scripts run in. `came`: the repository that it was fetched from, until a person here has said that it goes on;
    `brought`: how many runs it had when it came from `brought_from`; `unapproved`: nobody here has approved the plan
    that it came with. `always`: tools that a person here has allowed for the whole session; `decided`: digest of the
    one call that was decided about and has no result yet, to the decision. `questions`: what the model asked, in order;
    `asked`: digest of each to its id. `reserved`: run to (GPU seconds, micro-dollars) that are held for it;
    `gpu_seconds` and `run_micro`: what ended runs have used."""

    model_config = ConfigDict(frozen=True)

    status: Status = "new"
    created: float = Field(default=0.0, ge=0, le=LATEST)
    updated: float = Field(default=0.0, ge=0, le=LATEST)
    mono: float = 0.0
    seconds: float = 0.0
    settings: dict[str, Any] = {}
    sandbox: str = ""
    phase: str = ""
    title: str = ""
    drafted: bool = False
    grounded: bool = False
    unchecked: str = ""
    plan: str = ""
    models: tuple[str, ...] = ()
    iterations: int = 0
    cost_usd: float = 0.0
    held: int = 0
    held_open: int = 0
    cost_unknown: bool = False
    built: dict[str, str] = {}
    blocked: dict[str, str] = {}
    failures: dict[str, tuple[str, ...]] = {}
    doomed: bool = False
    reviewed: tuple[str, ...] = ()
    runs: int = 0
    verdicts: tuple[dict[str, Any], ...] = ()
    published: str = ""
    error: str = ""
    forked_from: str = ""
    synced: str = ""
    came: str = ""
    brought: int = 0
    brought_from: str = ""
    unapproved: bool = False
    notes: tuple[str, ...] = ()
    amendments: tuple[dict[str, Any], ...] = ()
    always: tuple[str, ...] = ()
    decided: dict[str, str] = {}
    questions: tuple[Question, ...] = ()
    asked: dict[str, str] = {}
    reserved: dict[str, tuple[float, int]] = {}
    gpu_seconds: float = 0.0
    run_micro: int = 0


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
        # First their difference: a sum and then less of the same may come to less than before, by its rounding.
        changes["seconds"] = state.seconds + (max(0.0, event.mono - state.mono) - event.data.get("paused", 0.0))
    data = event.data
    match event.type:
        case "session.created":
            changes |= {"status": "running", "created": event.time, "settings": data["settings"]}
        case "session.resumed":
            changes |= {"status": "running", "error": "", "settings": data.get("settings", state.settings), "came": ""}
            if state.doomed:  # whoever resumes gives what went in circles another chance, or another model
                blocked = {name: why for name, why in state.blocked.items() if not why.startswith(CIRCLED)}
                changes |= {"blocked": blocked, "doomed": False}
        case "session.forked":
            changes |= {"status": "interrupted", "forked_from": f"{data['origin']} at {data['seq']}", "published": ""}
            changes |= {"settings": {**state.settings, "out": ""}, "always": (), "decided": {}}
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
        case "claims.grounded":
            changes |= {"grounded": True, "unchecked": ""}
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
        case "model.retried" | "model.failed":
            # What is tried again goes on to hold what it held.
            cost = data.get("cost_usd", 0.0)
            changes |= {"cost_usd": state.cost_usd + (cost or 0.0), "cost_unknown": state.cost_unknown or cost is None}
            changes["held"] = state.held + (state.held_open if data["unclear"] else 0)
            if event.type == "model.failed":
                changes["held_open"] = 0
        case "approval":
            changes["decided"] = {data["call"]: data["decision"]} if data["decision"] != "stop" else {}
            if data["decision"] == "allow" and data.get("scope") == "tool" and data["tool"] not in state.always:
                changes["always"] = (*state.always, data["tool"])
        case "tool.result":
            changes["decided"] = {}
        case "question":
            changes["questions"] = (*state.questions, Question.model_validate(data))
            changes["asked"] = {**state.asked, data["digest"]: data["id"]}
        case "allowance.held":
            changes["reserved"] = {**state.reserved, data["key"]: (data["gpu_seconds"], data["micro"])}
        case "allowance.settled":
            changes |= _settled(state, data)
        case "experiment.built":
            changes["built"] = {**state.built, data["experiment"]: data["scripts"]}
        case "experiment.blocked":
            changes |= _blocked(state, data["experiment"], data["reason"])
        case "evidence.recorded":
            changes["runs"] = state.runs + 1
        case "amendment":
            changes["amendments"] = (*state.amendments, dict(data))
        case "plan.reviewed":
            changes |= _reviewed(state, data)
        case "note":
            changes["notes"] = (*state.notes, data["text"])
            if "unchecked" in data:
                changes["unchecked"] = data["unchecked"]
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
            doomed = data.get("code") == DoomLoop.exit_code
            changes |= {"status": "failed", "error": data["error"], "doomed": doomed}
        case "session.finished":
            changes["status"] = "finished"
    return state.model_copy(update=changes)


def _blocked(state: State, experiment: str, reason: str) -> dict[str, Any]:
    failures = {**state.failures, experiment: (*state.failures.get(experiment, ()), reason)}
    return {"blocked": {**state.blocked, experiment: reason}, "failures": failures}


def tries_of(state: State, experiment: str) -> int:
    """How often it was built or given up."""
    return len(state.failures.get(experiment, ())) + (experiment in state.built)


def _reviewed(state: State, data: dict[str, Any]) -> dict[str, Any]:
    """One event has all that the planner decided, so that a crash leaves the whole of it or nothing."""
    tries = tries_of(state, data["experiment"])
    again = {one["experiment"] for one in data["amendments"] if one["again"]}
    stopped = dict.fromkeys(data["stops"], f"the planner stopped: {data['reason']}")
    return {
        "reviewed": (*state.reviewed, f"{data['experiment']}/{tries}"),
        "amendments": (*state.amendments, *map(dict, data["amendments"])),
        "blocked": {one: why for one, why in state.blocked.items() if one not in again} | stopped,
    }


def _settled(state: State, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "reserved": {key: held for key, held in state.reserved.items() if key != data["key"]},
        "gpu_seconds": state.gpu_seconds + max(0.0, data["gpu_seconds"]),
        "run_micro": state.run_micro + max(0, data["micro"]),
    }


def _arrived(state: State, repo: str) -> dict[str, Any]:
    """What of it does not hold on this machine: where it publishes and uploads to, a weak sandbox, every approval
    (also that of models whose price nobody knows), and what runs have used elsewhere of what was approved there."""
    asked = state.sandbox or state.settings.get("sandbox", "auto")
    sandbox = asked if asked in _STRICT else "auto"
    settings = {**state.settings, "out": "", "sync": "", "sandbox": sandbox}
    settings.pop("approve", None)
    settings.pop("allow_unknown_price", None)
    return {
        "status": "interrupted",
        "settings": settings,
        "sandbox": sandbox,
        "synced": repo,
        "came": repo,
        "brought": state.runs,
        "brought_from": repo,
        "unapproved": True,
        "always": (),
        "decided": {},
        "reserved": {},
        "gpu_seconds": 0.0,
        "run_micro": 0,
    }
