"""This machine: as many runs at once as it has cores for. Each has a supervisor of its own, which outlives a crash of
the harness; whoever asks for the same run again takes over what it left."""

from __future__ import annotations

import contextlib
import os
import platform
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from ml_intern.errors import RunError
from ml_intern.run import journal
from ml_intern.run.fork_server import MAX_REQUEST
from ml_intern.run.sandbox.choice import Choice
from ml_intern.run.sandbox.environment import passed_environment
from ml_intern.run.spec import RunResult, RunSpec

_LOOK_EVERY = 0.1  # seconds between two looks at `stop`, which is no descriptor


def usable_cores() -> int:
    """Cores that this process may use (not merely those that exist)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class LocalCompute:
    """Has each spec supervised by a process of its own. The first `execute` (or `warm_up`) starts the process that they
    are forked from; `close` ends it, not them."""

    def __init__(self, sandbox: Choice, slots: int | None = None) -> None:
        self._sandbox = sandbox
        self._slots = slots or usable_cores()
        self._server: subprocess.Popen[bytes] | None = None
        self._requests: socket.socket | None = None
        self._lock = threading.Lock()

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
        found = journal.standing(spec.journal)
        if found.is_of(spec):
            return self._taken_over(spec, stop)
        journal.end(spec.journal)
        reader, answer = os.pipe()
        try:
            try:
                self._ask(spec, answer)
            finally:
                os.close(answer)
            return self._answered(spec, reader, stop)
        finally:
            os.close(reader)

    def warm_up(self) -> None:
        """Starts what the first run would have to wait for."""
        with self._lock:
            self._connected()

    def close(self) -> None:
        """Ends the process that supervisors are forked from."""
        with self._lock:
            if self._requests is not None:
                self._requests.close()
            if self._server is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._server.wait(timeout=5)
            self._requests = self._server = None

    def __del__(self) -> None:
        if self._requests is not None:
            self._requests.close()
        if self._server is not None:
            self._server.poll()

    def _ask(self, spec: RunSpec, answer: int) -> None:
        request = spec.model_dump_json().encode()
        with self._lock:
            try:
                socket.send_fds(self._connected(), [request], [answer])
            except OSError:  # the server was killed: the next one is as good
                self._requests = None
                try:
                    socket.send_fds(self._connected(), [request], [answer])
                except OSError as error:
                    raise RunError(f"Run {spec.run_id} could not be started.", str(error)) from None

    def _connected(self) -> socket.socket:
        if self._requests is None:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MAX_REQUEST)
            command = [sys.executable, "-m", "ml_intern.run.fork_server", str(theirs.fileno()), self._sandbox.spelled]
            self._server = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                env=passed_environment("PYTHONPATH", "HOME", "TMPDIR"),
            )
            theirs.close()
            self._requests = ours
        return self._requests

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
