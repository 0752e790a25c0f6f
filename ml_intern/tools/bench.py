"""What the families of tools are made from: one experiment in the building. Knows none of them."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from ml_intern.judge.laboratory import Laboratory
from ml_intern.read.paper import Paper
from ml_intern.run.compute.base import Compute


@dataclass(frozen=True)
class Bench:
    """`stop` is set by Ctrl-C. `folder`: of this experiment's own, for what is tried by hand; not made yet. `closing`:
    what a family has to end when the work ends, however it does; leaving the bench ends it."""

    laboratory: Laboratory
    compute: Compute
    stop: threading.Event
    folder: Path
    paper: Paper | None = None
    closing: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Bench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.close()
