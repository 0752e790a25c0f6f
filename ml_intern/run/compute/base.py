"""The Compute seam: carries out RunSpecs somewhere and hands back each result as it comes."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

from ml_intern.run.spec import RunResult, RunSpec


class Compute(Protocol):
    """`hardware` describes the machine in a line. `tier` is the sandbox's. Results come in any order."""

    @property
    def hardware(self) -> str: ...

    @property
    def tier(self) -> str: ...

    @property
    def slots(self) -> int: ...

    def run(self, specs: Sequence[RunSpec], stop: threading.Event) -> Iterator[RunResult]: ...
