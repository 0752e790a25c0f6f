"""This machine: as many runs at once as it has cores for. Each has a supervisor of its own, which outlives a crash of
the harness; whoever asks for the same run again takes over what it left."""

from __future__ import annotations

import contextlib
import os
import platform
import select
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import get_args

from ml_intern.errors import RunError
from ml_intern.run import journal
from ml_intern.run.compute.server import Server
from ml_intern.run.sandbox.choice import Choice
from ml_intern.run.sandbox.roots import gpu_count
from ml_intern.run.sandbox.warm import is_fit
from ml_intern.run.spec import Libraries, RunResult, RunSpec

_WARM_SECONDS = 60.0  # from its start; more than a slow disk takes to read torch
_LOOK_EVERY = 0.1  # seconds between two looks at `stop`, which is no descriptor


def usable_cores() -> int:
    """Cores that this process may use (not merely those that exist)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LocalCompute:
    """Has each spec supervised by a process of its own. The first `execute` (or `warm_up`) starts the process that they
    are forked from; with `warm` the first script that names torch (or transformers) starts another one, which takes
    over once it has imported it. `close` ends them, not what they forked."""

    def __init__(self, sandbox: Choice, slots: int | None = None, *, warm: bool = False) -> None:
        self._sandbox = sandbox
        self._slots = slots or usable_cores()
        self._server = Server(sandbox)
        self._warm: dict[Libraries, Server] = {}
        if warm and sandbox.kind == "bubblewrap":
            self._warm = {name: Server(replace(sandbox, warm=name)) for name in get_args(Libraries)}
        self._lock = threading.Lock()

    @property
    def tier(self) -> str:
        return self._sandbox.tier

    @property
    def slots(self) -> int:
        return self._slots

    @property
    def gpus(self) -> int:
        return gpu_count()

    @property
    def usd_per_hour(self) -> float:
        return 0.0

    @property
    def hardware(self) -> str:
        import psutil

        memory = psutil.virtual_memory().total / 2**30
        return f"{platform.system()} {platform.machine()}, {usable_cores()} cores, {memory:.0f} GiB"

    def execute(self, spec: RunSpec, stop: threading.Event) -> RunResult:
        found = journal.standing(spec.journal)
        if spec.inputs and found.is_of(spec):
            return self._taken_over(spec, stop)
        journal.end(spec.journal)
        reader, answer = os.pipe()
        try:
            try:
                self._ask(spec, answer, self._warm_for(spec, stop))
            finally:
                os.close(answer)
            return self._answered(spec, reader, stop)
        finally:
            os.close(reader)

    def warm_up(self, wait: Libraries | None = None) -> None:
        """Starts what the first run would have to wait for; `wait`: until these libraries are imported, too, or the
        process that imports them has died of it: then scripts import them themselves."""
        with self._lock:
            self._server.start()
            warm = self._warm.get(wait) if wait else None
            if warm is not None:
                warm.start()
            while warm is not None and not (warm.is_ready() or warm.has_died()):
                time.sleep(_LOOK_EVERY)

    def close(self) -> None:
        """Ends the processes that supervisors are forked from."""
        with self._lock:
            servers = (self._server, *self._warm.values())
            for server in servers:
                server.hang_up()
            for server in servers:
                server.close()

    def _warm_for(self, spec: RunSpec, stop: threading.Event) -> Server | None:
        """Of what its script may be a fork. The first one starts the process and begins without it; whoever comes while
        it imports waits, for importing the same beside it would take longer."""
        if spec.warm is None or not is_fit(spec) or spec.warm not in self._warm:
            return None
        server = self._warm[spec.warm]
        with self._lock:
            for one in (server, self._warm.get("transformers")):
                if one is not None and one.is_ready():
                    return one
            if not server.is_started:
                server.start()
                return None
        while not stop.is_set() and time.monotonic() < server.began + _WARM_SECONDS:
            with self._lock:
                if server.is_ready():
                    return server
                if server.has_died() or not server.is_started:
                    return None
            time.sleep(_LOOK_EVERY / 2)
        return None

    def _ask(self, spec: RunSpec, answer: int, warm: Server | None) -> None:
        request = spec.model_dump_json().encode()
        with self._lock:
            if warm is not None:
                with contextlib.suppress(OSError):
                    return warm.send(request, answer)
            try:
                self._server.send(request, answer)
            except OSError:  # it was killed: the next one is as good
                try:
                    self._server.send(request, answer)
                except OSError as error:
                    raise RunError(f"Run {spec.run_id} could not be started.", str(error)) from None

    def _answered(self, spec: RunSpec, reader: int, stop: threading.Event) -> RunResult:
        told, stopped = b"", False
        while True:
            if select.select([reader], [], [], _LOOK_EVERY)[0]:
                chunk = os.read(reader, 65536)
                if not chunk:
                    break
                told += chunk
            elif stop.is_set() and not stopped:
                stopped = _stop_supervisor(spec.journal)
        if told[:1] == b"+":
            return RunResult.model_validate_json(told[1:])
        if told[:1] == b"-":
            raise RunError(*told[1:].decode(errors="replace").split("\x00"))
        return self._lost(spec)

    def _taken_over(self, spec: RunSpec, stop: threading.Event) -> RunResult:
        stopped = False
        while (found := journal.standing(spec.journal)).alive:
            if stop.is_set() and not stopped:
                stopped = _stop_supervisor(spec.journal)
            time.sleep(_LOOK_EVERY)
        return found.result or self._lost(spec)

    def _lost(self, spec: RunSpec) -> RunResult:
        """Its supervisor was killed, and with it the run."""
        detail = "The process that supervised it was killed, by hand or by a system out of memory: run it again."
        return RunResult(
            run_id=spec.run_id,
            outcome="killed",
            exit_code=None,
            detail=detail,
            tail="",
            wall_seconds=0.0,
            cpu_seconds=0.0,
            peak_memory_mb=0.0,
            sandbox=self.tier,
        )


def _stop_supervisor(path: Path) -> bool:
    """Whether there was one to tell."""
    found = journal.standing(path)
    if found.alive and found.pid:
        with contextlib.suppress(ProcessLookupError):
            os.kill(found.pid, signal.SIGTERM)
        return True
    return False
