"""The Compute seam: carries out one RunSpec somewhere. Thread-safe; `slots` says how many at once make sense."""

from __future__ import annotations

import threading
from typing import Protocol

from ml_intern.run.spec import RunResult, RunSpec


class Compute(Protocol):
    """`hardware` describes the machine in a line; `tier` is the sandbox's. `gpus`: how many a run may use.
    `usd_per_hour`: what an hour of a run costs, 0 where nobody is paid for it."""

    @property
    def hardware(self) -> str: ...

    @property
    def tier(self) -> str: ...

    @property
    def slots(self) -> int: ...

    @property
    def gpus(self) -> int: ...

    @property
    def usd_per_hour(self) -> float: ...

    def execute(self, spec: RunSpec, stop: threading.Event) -> RunResult: ...
