"""A model, a data set or a package that the plan does not name yet: looked up first, fetched once it is approved.

The harness fetches it at an exact revision into its read-only store; scripts see it from then on as if the plan had
named it. Knows nothing of who approves.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ml_intern.errors import InputError
from ml_intern.plan.amendment import Changes
from ml_intern.plan.mistakes import mistakes
from ml_intern.run.resources import packages
from ml_intern.run.resources.resource import Resource
from ml_intern.tools.bench import Bench, Desk
from ml_intern.tools.registry import Tool, fenced


class _Wish(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Literal["model", "dataset", "package"]
    id: str = Field(description="of the Hub, like openai/gsm8k; a package like einops==0.8.1")
    revision: str = Field(default="", description="branch, tag or commit; empty: the newest")
    files: tuple[str, ...] = Field(default=(), description="patterns; empty: all")
    reason: str = Field(min_length=1, max_length=2000, description="why; it stands in the report")


def tools(bench: Bench) -> list[Tool]:
    desk = bench.desk
    if desk is None:
        return []

    def look_up(given: _Wish) -> str:
        return f"{fenced('resource', _shown(_wanted(desk, given)))}\nThis is there, and not fetched yet."

    def fetch(given: _Wish) -> str:
        return desk.amend(_wanted(desk, given), given.reason)

    def about(given: _Wish) -> str:
        return _shown(_wanted(desk, given))

    looked = "Revision, size and licence of a model or data set of the Hub, or of a package, without fetching it."
    fetched = (
        "Ask for it: once approved, it is fetched at that revision for this experiment's scripts: a data set in"
        " RAW/NAME (data.py alone), a model in $ML_INTERN_MODELS/NAME, a package to import. NAME: the id's last part."
    )
    return [
        Tool("look_up_resource", looked, "read-only", _Wish, look_up),
        Tool("fetch_resource", fetched, "external", _Wish, fetch, repeatable=True, about=about),
    ]


def _wanted(desk: Desk, given: _Wish) -> Changes:
    """Pinned. Raises MlInternError."""
    if given.kind != "package":
        name = given.id.rpartition("/")[2]
        try:
            wanted = Resource(name=name, kind=given.kind, id=given.id, revision=given.revision, files=given.files)
        except ValidationError as error:
            raise InputError("Nothing can be had under this id.", mistakes(error)[0].words) from None
        return Changes(resources=(desk.pinned(wanted),))
    if not packages.is_exact(given.id):
        raise InputError(f"{given.id!r} is not exact.", next="Give name==version.")
    return Changes(requirements=desk.pinned_packages(given.id))


def _shown(changes: Changes) -> str:
    return ", ".join([*(resource.shown for resource in changes.resources), *map(packages.shown, changes.requirements)])
