"""What an executor may wish of the plan: a change of its experiment with the reason, and a note."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ml_intern.errors import InputError
from ml_intern.plan.amendment import Changes
from ml_intern.tools.bench import Bench
from ml_intern.tools.registry import Tool

_REASON = Field(min_length=1, max_length=2000, description="why; it stands in the report")


class _Amend(BaseModel):
    model_config = ConfigDict(extra="forbid")

    settings: dict[str, Any] = Field(default={}, description="training settings of all variants, by name")
    smoke: dict[str, Any] = Field(default={}, description="overrides in smoke runs, by name")
    memory_mb: int | None = Field(default=None, gt=0)
    timeout_seconds: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    reason: str = _REASON


class _Note(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=2000)


def tools(bench: Bench) -> list[Tool]:
    desk = bench.desk
    if desk is None:
        return []

    def amend_plan(given: _Amend) -> str:
        changes = Changes(**given.model_dump(exclude={"reason"}))
        if changes == Changes():
            raise InputError("Nothing would change.", next="Name settings, smoke, memory_mb or timeout_seconds.")
        return desk.amend(changes, given.reason)

    def note(given: _Note) -> str:
        desk.note(given.text)
        return "noted"

    told = (
        "Change settings that all variants share, or the limits of a run; logged and reported. Claims, tests, variants,"
        " metrics, data and seeds stay as they were approved."
    )
    return [
        Tool("amend_plan", told, "experiment", _Amend, amend_plan),
        Tool("note", "Say what planner and report should know.", "workspace", _Note, note, repeatable=True),
    ]
