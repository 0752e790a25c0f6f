"""This machine: as many runs at once as it has cores for, one thread each."""

from __future__ import annotations

import os
import platform
import threading

from ml_intern.run.sandbox.base import Sandbox
from ml_intern.run.spec import RunResult, RunSpec
from ml_intern.run.supervisor import supervise


def usable_cores() -> int:
    """Cores that this process may use (not merely those that exist)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LocalCompute:
    """Supervises each spec's process tree from the calling thread."""

    def __init__(self, sandbox: Sandbox, slots: int | None = None) -> None:
        self._sandbox = sandbox
        self._slots = slots or usable_cores()

    @property
    def tier(self) -> str:
        return self._sandbox.tier

    @property
    def slots(self) -> int:
        return self._slots

    @property
    def hardware(self) -> str:
        import psutil

        memory = psutil.virtual_memory().total / 2**30
        return f"{platform.system()} {platform.machine()}, {usable_cores()} cores, {memory:.0f} GiB"

    def execute(self, spec: RunSpec, stop: threading.Event) -> RunResult:
        return supervise(spec, self._sandbox, stop)
