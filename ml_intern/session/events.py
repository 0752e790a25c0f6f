"""One event of a session's log. Everything that happens is one; every other state is a fold over them."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

EventType = Literal[
    "session.created",
    "session.resumed",
    "sandbox.chosen",
    "log.recovered",
    "phase.started",
    "paper.read",
    "claims.grounded",
    "plan.drafted",
    "plan.approved",
    "plan.refused",
    "model.asked",
    "model.replied",
    "model.failed",
    "tool.intent",
    "tool.result",
    "resource.fetched",
    "experiment.built",
    "experiment.blocked",
    "run.started",
    "run.finished",
    "evidence.recorded",
    "amendment",
    "doom.warning",
    "verdicts",
    "published",
    "note",
    "session.interrupted",
    "session.failed",
    "session.finished",
]


class Event(BaseModel):
    """`time` is seconds since the epoch, `mono` the monotonic clock; `checksum` covers all else, `previous` chains."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: Literal[1] = 1
    seq: int
    type: EventType
    time: float
    mono: float
    data: dict[str, Any]
    previous: str
    checksum: str

    def expected_checksum(self) -> str:
        return checksum(self.model_dump(mode="json", exclude={"checksum"}))

    def line(self) -> bytes:
        return (json.dumps(self.model_dump(mode="json"), ensure_ascii=False, separators=(",", ":")) + "\n").encode()


def checksum(fields: dict[str, Any]) -> str:
    """sha256 in hex of the fields as canonical JSON."""
    text = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
