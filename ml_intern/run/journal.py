"""The small journal of one run: who supervises it, and how it ended. Written by its supervisor, read by any harness.

The supervisor holds a lock on the file for as long as it lives, so "is it still running" needs no process id to be
believed. Knows nothing of what a run is for.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ml_intern.errors import RunError
from ml_intern.run.spec import RunResult, RunSpec

_ENDING_SECONDS = 30.0


class Journal:
    """Open for writing by the one supervisor of a run. Raises RunError where another one has it."""

    def __init__(self, spec: RunSpec) -> None:
        spec.journal.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.open(spec.journal, flags, 0o644)
        if not self._locked():
            os.close(self._file)
            raise RunError(f"Run {spec.run_id} is already being supervised.", f"{spec.journal} is locked")
        os.ftruncate(self._file, 0)
        self._write(event="started", digest=spec.digest(), pid=os.getpid(), at=time.time())

    def finished(self, result: RunResult) -> None:
        """The last line, on disk before this returns."""
        self._write(event="finished", result=result.model_dump())
        os.fdatasync(self._file) if hasattr(os, "fdatasync") else os.fsync(self._file)

    def _locked(self) -> bool:
        # A reader holds it for an instant to see whether anybody writes.
        for _ in range(50):
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except OSError:
                time.sleep(0.01)
        return False

    def _write(self, **line: Any) -> None:
        data = (json.dumps(line) + "\n").encode()
        while data:
            data = data[os.write(self._file, data) :]


@dataclass(frozen=True)
class Standing:
    """What a journal tells: `alive` while its supervisor lives; `result` once it has ended properly."""

    digest: str = ""
    pid: int = 0
    alive: bool = False
    result: RunResult | None = field(default=None)

    def is_of(self, spec: RunSpec) -> bool:
        """Whether it is this very run, and still goes on or came to an end of its own (not stopped by a person). The
        proxy of a run that has one died with the harness that began it: only its success counts."""
        if self.digest != spec.digest():
            return False
        if spec.proxy is not None:
            return not self.alive and self.result is not None and self.result.outcome == "ok"
        return self.alive or (self.result is not None and self.result.outcome != "killed")


def standing(path: Path) -> Standing:
    """What the journal says now; an empty standing where there is none, or nothing that can be read."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return Standing()
    try:
        alive = False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            alive = True
        lines = []
        with os.fdopen(os.dup(file), "rb") as reader:
            for line in reader:
                with contextlib.suppress(ValueError):
                    lines.append(json.loads(line))
    finally:
        os.close(file)
    told = {
        line["event"]: line for line in reversed(lines) if isinstance(line, dict) and isinstance(line.get("event"), str)
    }
    try:
        started: dict[str, Any] = told.get("started", {})
        ended = told.get("finished", {}).get("result")
        result = RunResult.model_validate(ended) if ended is not None else None
        return Standing(str(started.get("digest", "")), int(started.get("pid", 0)), alive, result)
    except (ValueError, TypeError):  # not what a supervisor writes: as good as none
        return Standing(alive=alive)


def end(path: Path) -> None:
    """Stops the run of this journal, if its supervisor lives, and waits until it has gone. Raises RunError."""
    deadline = time.monotonic() + _ENDING_SECONDS
    while (found := standing(path)).alive:
        if time.monotonic() > deadline:
            raise RunError(f"Process {found.pid} supervises an old run and does not end.", next=f"kill -9 {found.pid}")
        if found.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(found.pid, signal.SIGTERM)
        time.sleep(0.02)


def forget(path: Path) -> bool:
    """Stops the run of this journal and removes it; whether there was one. Raises RunError."""
    there = path.exists()
    end(path)
    path.unlink(missing_ok=True)
    return there


def end_all(folder: Path) -> None:
    """Stops every run whose journal lies in `folder` (not below it). Raises RunError."""
    if folder.is_dir():
        for path in sorted(folder.glob("*.run")):
            end(path)
