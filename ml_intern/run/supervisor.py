"""Runs one process tree under a wall clock, a memory watchdog and an output cap, and leaves nothing of it alive.

Knows nothing of what the process is for. A script that fails is a result, not an exception.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ml_intern.errors import RunError
from ml_intern.run.sandbox.base import Sandbox
from ml_intern.run.spec import Limits, Outcome, RunResult, RunSpec

_TAIL_BYTES = 4000
_MEMORY_EVERY = 0.25  # seconds between two looks at the tree's memory: a look costs about a millisecond


def supervise(spec: RunSpec, sandbox: Sandbox, stop: threading.Event | None = None) -> RunResult:
    """Runs `spec` to its end, its limits, or until `stop` is set. Raises RunError only if it cannot be started."""
    argv, environment = sandbox.prepare(spec)
    spec.cwd.mkdir(parents=True, exist_ok=True)
    spec.log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    try:
        process = subprocess.Popen(
            argv,
            cwd=spec.cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise RunError(
            f"Run {spec.run_id} could not be started.", str(error), "Check that Python still exists."
        ) from None
    _limit_files(process.pid, spec.limits)
    capture = _Capture(process.stdout, spec.log, spec.limits.output_mb * 1024 * 1024)
    watch = _Watch(process.pid, spec.limits, started, stop, capture)
    try:
        status, usage = watch.until_end()
    except BaseException:
        # The status is written but never read here: the tree must not outlive an interrupted harness.
        _kill_tree(process.pid)
        raise
    _kill_group(process.pid)
    capture.finish()
    process.returncode = os.waitstatus_to_exitcode(status)
    outcome = watch.outcome or ("ok" if process.returncode == 0 else "failed")
    return RunResult(
        run_id=spec.run_id,
        outcome=outcome,
        exit_code=process.returncode,
        detail=_explain(outcome, process.returncode, spec.limits),
        tail=capture.tail(),
        wall_seconds=time.monotonic() - started,
        cpu_seconds=usage.cpu_seconds,
        peak_memory_mb=watch.peak_mb,
        sandbox=sandbox.tier,
    )


@dataclass
class _Usage:
    cpu_seconds: float


class _Watch:
    """Waits for the process, and kills its tree when a limit is passed; `outcome` says which."""

    def __init__(
        self, pid: int, limits: Limits, started: float, stop: threading.Event | None, capture: _Capture
    ) -> None:
        self.pid, self.limits, self.started, self.stop, self.capture = pid, limits, started, stop, capture
        self.outcome: Outcome | None = None
        self.peak_mb = 0.0

    def until_end(self) -> tuple[int, _Usage]:
        pause, next_look = 0.002, 0.0
        while True:
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                # maxrss is in KiB on Linux; a process that ended between two looks is still accounted for.
                self.peak_mb = max(self.peak_mb, usage.ru_maxrss / 1024)
                return status, _Usage(usage.ru_utime + usage.ru_stime)
            now = time.monotonic()
            if now >= next_look:
                next_look = now + _MEMORY_EVERY
                self.peak_mb = max(self.peak_mb, _tree_memory_mb(self.pid))
            if self.outcome is None and (reason := self._reason_to_kill(now)):
                self.outcome = reason
                _kill_tree(self.pid)
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)

    def _reason_to_kill(self, now: float) -> Outcome | None:
        if self.stop is not None and self.stop.is_set():
            return "killed"
        if now - self.started > self.limits.seconds:
            return "timeout"
        if self.peak_mb > self.limits.memory_mb:
            return "memory"
        if self.capture.overflowed:
            return "output"
        return None


class _Capture:
    """Copies the process's output to `log` in bounded chunks, up to `limit` bytes."""

    def __init__(self, stream: IO[bytes] | None, log: Path, limit: int) -> None:
        if stream is None:
            raise RunError("The run has no output to read.")
        self.stream, self.log, self.limit = stream, log, limit
        self.overflowed = False
        self.thread = threading.Thread(target=self._copy, daemon=True)
        self.thread.start()

    def _copy(self) -> None:
        written = 0
        with self.log.open("wb") as log:
            while chunk := os.read(self.stream.fileno(), 65536):
                if written >= self.limit:
                    self.overflowed = True
                    continue
                log.write(chunk[: self.limit - written])
                log.flush()
                written += len(chunk)

    def finish(self) -> None:
        # A child that left the group may hold the pipe open for ever: it is not waited for.
        self.thread.join(timeout=2.0)
        if not self.thread.is_alive():
            self.stream.close()

    def tail(self) -> str:
        with contextlib.suppress(FileNotFoundError), self.log.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - _TAIL_BYTES))
            return log.read().decode("utf-8", errors="replace")
        return ""


def _limit_files(pid: int, limits: Limits) -> None:
    """File size and core dumps; set from outside, since code between fork and exec is unsafe with threads."""
    try:
        import resource

        size = limits.file_mb * 1024 * 1024
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, size))
        resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
    except (ImportError, AttributeError, OSError):  # no prlimit here (macOS), or the process has already ended
        return


def _tree(pid: int) -> list[int]:
    import psutil

    try:
        root = psutil.Process(pid)
        return [child.pid for child in root.children(recursive=True)] + [pid]
    except psutil.Error:
        return [pid]


def _tree_memory_mb(pid: int) -> float:
    import psutil

    total = 0
    for member in _tree(pid):
        with contextlib.suppress(psutil.Error):
            total += psutil.Process(member).memory_info().rss
    return total / 2**20


def _kill_tree(pid: int) -> None:
    members = _tree(pid)
    _kill_group(pid)
    for member in members:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(member, signal.SIGKILL)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _explain(outcome: Outcome, code: int, limits: Limits) -> str:
    if outcome == "ok":
        return ""
    if outcome == "timeout":
        return f"It ran longer than its limit of {limits.seconds:.0f} s: make it smaller, or raise the limit."
    if outcome == "memory":
        return f"Its processes held more than {limits.memory_mb} MiB: use a smaller batch or model, or raise the limit."
    if outcome == "output":
        return f"It printed more than {limits.output_mb} MiB: log less often."
    if outcome == "killed":
        return "It was stopped from outside (interrupted)."
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
        return f"It was ended by signal {name}" + (" (out of memory?)." if -code == signal.SIGKILL else ".")
    return f"It ended with exit code {code}."
