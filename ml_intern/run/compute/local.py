"""This machine: as many runs at once as it has cores for."""

from __future__ import annotations

import os
import platform
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed

from ml_intern.run.sandbox.base import Sandbox
from ml_intern.run.spec import RunResult, RunSpec
from ml_intern.run.supervisor import supervise


def usable_cores() -> int:
    """Cores that this process may use (not merely those that exist)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LocalCompute:
    """Runs specs in threads that each supervise one process tree."""

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

    def run(self, specs: Sequence[RunSpec], stop: threading.Event) -> Iterator[RunResult]:
        """Yields results as they come; when the caller stops early, what runs is killed and what waits is dropped."""
        with ThreadPoolExecutor(max_workers=self._slots) as pool:
            futures = [pool.submit(supervise, spec, self._sandbox, stop) for spec in specs]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BaseException:
                stop.set()
                for future in futures:
                    future.cancel()
                raise
