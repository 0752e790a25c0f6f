"""One event of a session's log. Everything that happens is one; every other state is a fold over them.

A line of version 2 carries the sha256 of its own bytes before `,"checksum"`, so that a reader checks it without writing
it again. Lines of version 1 (checksum over canonical JSON) are read for as long as there are any.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

EventType = Literal[
    "session.created",
    "session.resumed",
    "session.forked",
    "session.fetched",
    "session.synced",
    "sandbox.chosen",
    "log.recovered",
    "phase.started",
    "paper.read",
    "claims.grounded",
    "plan.drafted",
    "plan.approved",
    "plan.refused",
    "conversation.started",
    "conversation.told",
    "conversation.shortened",
    "model.asked",
    "model.replied",
    "model.retried",
    "model.failed",
    "tool.intent",
    "tool.result",
    "approval",
    "question",
    "allowance.held",
    "allowance.settled",
    "output.kept",
    "resource.fetched",
    "experiment.built",
    "experiment.blocked",
    "run.started",
    "run.finished",
    "evidence.recorded",
    "amendment",
    "plan.reviewed",
    "doom.warning",
    "verdicts",
    "published",
    "note",
    "session.interrupted",
    "session.failed",
    "session.finished",
]

VERSION = 2
GENESIS = "0" * 64  # what the first event's `previous` is
_BEFORE = b',"checksum":"'
_TAIL = len(_BEFORE) + 64 + len('"}')  # bytes from the checksum's name to the end of the object


class NewerVersion(ValueError):
    """The line is whole, and was written by a later version of this program."""


class Event(BaseModel):
    """`time` is seconds since the epoch, `mono` the monotonic clock; `checksum` covers all else, `previous` chains."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1, 2] = 2
    seq: int
    type: EventType
    time: float
    mono: float
    data: dict[str, Any]
    previous: str
    checksum: str


def encoded(fields: dict[str, Any]) -> tuple[bytes, str]:
    """(line, checksum) of a new event's `fields`: all of Event's but `checksum`."""
    body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")[:-1]
    checksum = hashlib.sha256(body).hexdigest()
    return b'%s%s%s"}\n' % (body, _BEFORE, checksum.encode()), checksum


def parsed(line: bytes, seq: int, previous: str) -> Event | None:
    """The event of a whole line; None where it is not the one that belongs there. Raises NewerVersion."""
    try:
        event = Event.model_validate_json(line)
    except ValidationError:
        _require_known(line)
        return None
    if event.seq != seq or event.previous != previous or event.checksum != _checksum(line, event):
        return None
    return event


def _checksum(line: bytes, event: Event) -> str:
    if event.version == 1:
        text = json.dumps(
            event.model_dump(mode="json", exclude={"checksum"}), sort_keys=True, ensure_ascii=False,
            separators=(",", ":"),
        )  # fmt: skip
        return hashlib.sha256(text.encode()).hexdigest()
    body = line.rstrip(b"\n")[:-_TAIL]
    return hashlib.sha256(body).hexdigest()


def _require_known(line: bytes) -> None:
    """Raises NewerVersion where a line is whole but of a version or a type that is not known here."""
    body = line.rstrip(b"\n")
    if not body.endswith(hashlib.sha256(body[:-_TAIL]).hexdigest().encode() + b'"}'):
        return
    try:
        fields = json.loads(body)
    except ValueError:
        return
    if fields.get("version") != VERSION or fields.get("type") not in get_args(EventType):
        raise NewerVersion(f"version {fields.get('version')}, type {fields.get('type')!r}")
