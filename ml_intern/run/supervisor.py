"""Runs one process tree under a wall clock, watchdogs and an output cap, and leaves nothing of it alive.

Knows nothing of what the process is for. A script that fails is a result, not an exception.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import IO

from ml_intern.errors import RunError
from ml_intern.run.capture import Capture
from ml_intern.run.control_group import ControlGroup, control_group
from ml_intern.run.hidden import Unseen, Writer, Written, maps_nameless_files, unseen, written_by_others, written_since
from ml_intern.run.sandbox.base import Command, Sandbox
from ml_intern.run.sandbox.kernel import adopt_orphans
from ml_intern.run.spec import Limits, Outcome, RunResult, RunSpec
from ml_intern.run.usage import (
    DEEPEST,
    FolderWatch,
    descendants,
    end_descendants,
    ended_children,
    private_mb,
    resident_mb,
)

_FIRST_LOOK = 0.05  # seconds
_LOOK_EVERY = 0.25  # seconds between two looks at the tree's memory: a look costs about a millisecond
_POLL_EVERY = 0.02  # where the kernel cannot tell of a process's end


def supervise(spec: RunSpec, sandbox: Sandbox, stop: int = -1) -> RunResult:
    """Runs `spec` to its end, its limits, or until the descriptor `stop` can be read. To be called in a process that
    does nothing else: everything below it counts as the run's. Raises RunError only if it cannot be started."""
    with contextlib.suppress(OSError):  # not on Linux: who leaves the session then is not found again
        adopt_orphans()
    spec.cwd.mkdir(parents=True, exist_ok=True)
    spec.log.parent.mkdir(parents=True, exist_ok=True)
    command, group = sandbox.prepare(spec), control_group(spec.limits)
    try:
        return _run(spec, command, group, sandbox.tier, stop)
    finally:
        command.close()
        group.remove()


def _run(spec: RunSpec, command: Command, group: ControlGroup, tier: str, stop: int) -> RunResult:
    started = time.monotonic()
    try:
        with group.joined():
            process, pid, stream = _started(spec, command)
    except BaseException as error:
        end_descendants(lambda: list(ended_children()))
        command.ended()
        if isinstance(error, OSError | subprocess.SubprocessError):
            what = f"Run {spec.run_id} could not be started."
            raise RunError(what, str(error), "Check that Python still exists.") from None
        raise
    capture = Capture(stream, spec.log, spec.limits.output_mb * 1024 * 1024)
    watch = _Watch(pid, spec, command, group, started, stop, capture)
    try:
        status, cpu_seconds = watch.until_end()
    except BaseException:
        # The tree must not outlive an interrupted supervisor.
        watch.kill()
        command.ended()
        raise
    watch.kill()
    not_set_up = command.ended()
    watch.reap()
    watch.look_at_what_is_left()
    capture.finish()
    process.returncode = command.exit_code(os.waitstatus_to_exitcode(status))
    if watch.outcome is None and process.returncode != 0 and group.was_out_of_memory():
        watch.outcome = "memory"
    if not_set_up and watch.outcome is None:
        raise RunError(f"Run {spec.run_id} could not be started: {not_set_up}.", capture.tail().strip())
    outcome = watch.outcome or ("ok" if process.returncode == 0 and not command.offence else "failed")
    detail = _HIDDEN if watch.hidden else _explain(outcome, process.returncode, spec.limits, capture.tail())
    return RunResult(
        run_id=spec.run_id,
        outcome=outcome,
        exit_code=process.returncode,
        detail=command.offence if outcome == "failed" and command.offence else detail,
        tail=capture.tail(),
        wall_seconds=time.monotonic() - started,
        cpu_seconds=cpu_seconds + watch.orphans_cpu if command.measures else 0.0,
        peak_memory_mb=watch.peak_mb if command.measures else 0.0,
        sandbox=tier,
    )


def _started(spec: RunSpec, command: Command) -> tuple[subprocess.Popen[bytes], int, IO[bytes] | None]:
    """(what was started, the process to wait for, its output)."""
    process = subprocess.Popen(
        command.argv,
        cwd=command.cwd or spec.cwd,
        env=dict(command.environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=command.fds,
        preexec_fn=command.before_exec,
    )
    command.started(process.pid)
    # Before there is a second thread here: the script may be a fork of this process.
    pid, stream = (process.stdout and command.enter(process.stdout)) or (process.pid, process.stdout)
    return process, pid, stream


@dataclass
class _Watch:
    """Waits for the process, and kills its tree when a limit is passed; `outcome` says which."""

    pid: int
    spec: RunSpec
    command: Command
    group: ControlGroup
    started: float
    stop: int
    capture: Capture
    outcome: Outcome | None = None
    peak_mb: float = 0.0
    suspect_mb: float = 0.0
    unseen_disk: int = 0  # bytes
    own_files: int = 0
    others: dict[Writer, Written] | None = None  # what each other process had written to disks when this run began
    hidden: bool = False  # it holds what nobody can count
    closed: frozenset[int] = frozenset()  # processes that could not be looked into a moment ago
    orphans_cpu: float = 0.0  # seconds

    def until_end(self) -> tuple[int, float]:
        """(wait status, CPU seconds of it and of those it waited for)."""
        folders = self._folders()
        handle = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else -1
        next_look = time.monotonic() + _FIRST_LOOK
        try:
            while True:
                pid, status, usage = os.wait4(self.pid, os.WNOHANG)
                if pid:
                    # maxrss is in KiB on Linux; a process that ended between two looks is still accounted for.
                    self.peak_mb = max(self.peak_mb, usage.ru_maxrss / 1024)
                    return status, usage.ru_utime + usage.ru_stime
                now = time.monotonic()
                if now >= next_look:
                    next_look = now + _LOOK_EVERY
                    members = descendants(os.getpid())
                    held = unseen(members)
                    self.unseen_disk = held.disk
                    self.own_files = self.command.own_files()
                    # What is mapped and held is counted twice here; only the close look decides.
                    resident = resident_mb(members)
                    self.peak_mb = max(self.peak_mb, resident)
                    self.suspect_mb = resident + held.memory / 2**20
                    folders.look(now)
                    self.hidden = self._hides(held, members, folders)
                if self.outcome is None and (reason := self._reason_to_kill(now, folders)):
                    self.outcome = reason
                    self.kill()
                self._pause(handle, next_look - now)
        finally:
            if handle >= 0:
                os.close(handle)

    def _pause(self, handle: int, seconds: float) -> None:
        """Until the process ends, a stop is asked for, output overflows, or `seconds` have gone."""
        end = self.started + self.spec.limits.seconds - time.monotonic()
        seconds = max(0.0, min(seconds, end) if self.outcome is None else seconds)
        waiting = [self.capture.overflow] if self.outcome is None else []
        waiting += [self.stop] if self.stop >= 0 and self.outcome is None else []
        waiting += [handle] if handle >= 0 else []
        select.select(waiting, [], [], seconds if handle >= 0 else min(seconds, _POLL_EVERY))

    def _reason_to_kill(self, now: float, folders: FolderWatch) -> Outcome | None:
        limits = self.spec.limits
        if self.stop >= 0 and select.select([self.stop], [], [], 0)[0]:
            return "killed"
        if now - self.started >= limits.seconds:
            return "timeout"
        # The peak counts what forked workers share several times: looked at closely before anything is killed for it.
        if max(self.peak_mb, self.suspect_mb) > limits.memory_mb and self._close_look_mb() > limits.memory_mb:
            return "memory"
        if self.capture.overflowed:
            return "output"
        return "disk" if self.hidden or self._is_too_much(folders) else None

    def _close_look_mb(self) -> float:
        members = descendants(os.getpid())
        return max(resident_mb(members, exact=True), private_mb(members) + unseen(members).memory / 2**20)

    def _hides(self, held: Unseen, members: list[int], folders: FolderWatch) -> bool:
        """Whether a process lets nobody look into it, or the disk has filled beyond what can be counted and beyond what
        others wrote, while files were kept in sockets or mappings alone."""
        twice, self.closed = (
            held.closed & self.closed,
            held.closed,
        )  # walls that are being built are closed for a moment
        if twice:
            return True
        if self.others is None:
            self.others = written_by_others([os.getpid(), *members])
        lost, limit = folders.grown() - folders.bytes - held.disk, self.spec.limits.disk_mb * 2**20
        if lost <= limit or not (held.in_flight or maps_nameless_files(members, folders.devices)):
            return False
        now = written_by_others([os.getpid(), *members])
        started = set(descendants(os.getpid()))  # by the run, meanwhile: none of the others
        now = {writer: one for writer, one in now.items() if writer.pid not in started}
        return lost - written_since(self.others, now) > limit

    def _is_too_much(self, folders: FolderWatch) -> bool:
        limits = self.spec.limits
        return (
            folders.bytes + self.unseen_disk > limits.disk_mb * 2**20
            or folders.files + self.own_files > limits.files
            or folders.depth > DEEPEST
        )

    def _folders(self) -> FolderWatch:
        return FolderWatch((self.spec.cwd, *self.spec.writes))

    def look_at_what_is_left(self) -> None:
        """A short run may have ended before anybody looked. What nobody could walk through is removed."""
        folders = self._folders()
        folders.count()
        if self.outcome is None and self._is_too_much(folders):
            self.outcome = "disk"
        if folders.depth > DEEPEST:
            folders.clear()

    def kill(self) -> None:
        """Ends every process of the run, however it got away from the first one. That one is left to be waited for."""
        self.command.kill()
        self.group.kill()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        end_descendants(self.reap)

    def reap(self) -> None:
        """Counts what the first process did not wait for itself."""
        for used in ended_children(but=self.pid):
            self.orphans_cpu += used.ru_utime + used.ru_stime
            self.peak_mb = max(self.peak_mb, used.ru_maxrss / 1024)


# What frees memory and leaves the effective batch, and so the experiment, as it is.
_SMALLER = "halve the batch and double the accumulation steps, take a smaller model, or raise the limit"
_HIDDEN = (
    "It kept files or processes where nobody can count what they hold (files sent over sockets or mapped without a "
    "name, a process that cannot be looked into): write to named files in its own folders."
)


def _explain(outcome: Outcome, code: int, limits: Limits, tail: str) -> str:
    if outcome == "ok":
        return ""
    if outcome == "timeout":
        return f"It ran longer than its limit of {limits.seconds:.0f} s: make it smaller, or raise the limit."
    if outcome == "memory":
        return f"Its processes held more than {limits.memory_mb} MiB: {_SMALLER}."
    if outcome == "output":
        return f"It printed more than {limits.output_mb} MiB: log less often."
    if outcome == "disk":
        allowed = f"{limits.disk_mb} MiB, {limits.files} files or {DEEPEST} folders in folders"
        return f"It wrote more than {allowed}: keep fewer checkpoints."
    if outcome == "killed":
        return "It was stopped from outside (interrupted)."
    if code < 0:
        return _explain_signal(-code, limits)
    return f"It ended with exit code {code}.{_hint(tail, limits)}"


def _explain_signal(number: int, limits: Limits) -> str:
    name = signal.Signals(number).name if number in set(signal.Signals) else str(number)
    if number == signal.SIGKILL:
        return f"It was ended by signal {name} (the system was out of memory?): use a smaller batch or model."
    if number == signal.SIGXFSZ:
        return f"It was ended by signal {name}: one file grew over {limits.file_mb} MiB."
    if number == signal.SIGSYS:
        return f"It was ended by signal {name}: it used a system call that the sandbox does not allow."
    return f"It was ended by signal {name}."


# What a limit of the kernel's looks like from inside: (words in the output, what to say).
_HINTS = (
    ("CUDA out of memory", "The GPU's memory is full: halve the batch and double the accumulation steps."),
    ("MemoryError", "No more memory could be had (limit {memory_mb} MiB): " + _SMALLER + "."),
    (
        "DefaultCPUAllocator: can't allocate",
        "No more memory could be had (limit {memory_mb} MiB): " + _SMALLER + ".",
    ),
    ("No space left on device", "The disk, /tmp or /dev/shm is full: write less, or use fewer DataLoader workers."),
    ("File too large", "One file grew over {file_mb} MiB: save smaller checkpoints."),
    ("Too many open files", "It had over {open_files} files open: close them, or use fewer DataLoader workers."),
    ("Resource temporarily unavailable", "It started over {processes} processes and threads: use fewer workers."),
    ("can't start new thread", "It started over {processes} processes and threads: use fewer workers."),
    ("Network is unreachable", "There is no network here: ask the harness for data and models."),
    ("Temporary failure in name resolution", "There is no network here: ask the harness for data and models."),
)


def _hint(tail: str, limits: Limits) -> str:
    last = tail[-1500:]
    return next((" " + words.format(**limits.model_dump()) for sign, words in _HINTS if sign in last), "")
