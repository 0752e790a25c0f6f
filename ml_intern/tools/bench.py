"""What the families of tools are made from: one experiment in the building. Knows none of them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Protocol

from ml_intern.judge.laboratory import Laboratory
from ml_intern.plan.amendment import Changes
from ml_intern.read.paper import Paper
from ml_intern.run.compute.base import Compute
from ml_intern.run.resources.resource import Resource
from ml_intern.tools.outputs import Outputs


class Desk(Protocol):
    """Where wishes about the plan go. Each raises MlInternError, in words that the executor can act on, where it cannot
    be had."""

    def amend(self, changes: Changes, reason: str) -> str:
        """From now on the experiment is changed so; says what it is now. What it is already changes nothing."""
        ...

    def note(self, text: str) -> None:
        """For the planner and for whoever reads the report."""
        ...

    def pinned(self, resource: Resource) -> Resource:
        """At its exact commit, with size and licence; nothing is fetched yet."""
        ...

    def pinned_packages(self, requirement: str) -> tuple[str, ...]:
        """It, and all that it needs and is not installed, with the hashes of the wheels; nothing is installed yet."""
        ...


@dataclass(frozen=True)
class Bench:
    """`stop` is set by Ctrl-C. `folder`: of this experiment's own, for what is tried by hand; not made yet. `closing`:
    what a family has to end when the work ends, however it does; leaving the bench ends it. Without a `desk` nothing
    can be wished of the plan. `outputs` keeps what is shown cut. `called_away`: in a word or two, why nothing should be
    waited for any longer; empty while nothing is. `ask(question, meanwhile, changes)` puts a question to the person and
    says how it went; None: there is no way to."""

    laboratory: Laboratory
    compute: Compute
    stop: threading.Event
    folder: Path
    paper: Paper | None = None
    desk: Desk | None = None
    outputs: Outputs = field(default_factory=Outputs)
    called_away: Callable[[], str] = lambda: ""
    ask: Callable[[str, str, str], str] | None = None
    closing: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.close()
