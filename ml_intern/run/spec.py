"""RunSpec and RunResult: what one process is asked to do and how it ended. Knows nothing of experiments."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

Outcome = Literal["ok", "failed", "timeout", "memory", "output", "disk", "killed"]


class Limits(BaseModel):
    """Limits of one process tree. seconds: wall clock; memory_mb: resident MiB of the whole tree; output_mb: of the
    captured log; file_mb: of any single file; disk_mb and files: of all folders that it may write to, together (files:
    with those in its /tmp and /dev/shm, where a sandbox gives it its own);
    processes: processes and threads (only where a sandbox counts them for the run alone); open_files: a process."""

    model_config = ConfigDict(frozen=True)

    seconds: float = 900.0
    memory_mb: int = 4096
    output_mb: int = 16
    file_mb: int = 2048
    disk_mb: int = 20480
    files: int = 200_000
    processes: int = 1024
    open_files: int = 4096


Libraries = Literal["torch", "transformers"]  # that a process has imported; the second is with the first


class RunSpec(BaseModel):
    """One script to run: `script` with `arguments` in working directory `cwd` (made where it is missing).

    `log` receives stdout and stderr together. `threads` is the number of cores it may use. In an isolating sandbox it
    sees the script, `reads` (read-only) and `writes`, and nothing else of the person's files; `cwd` is writable without
    being named. Where one of `reads` lies in a folder of `writes` it is read-only as well; tier B cannot prevent that
    it is changed there, but finds it out, and the run has failed. `lists`: folders of which some files are among
    `reads`, and whose names it may list. `environment`: variables beside the clean ones.
    `proxy`: a unix socket through which it reaches the hosts that it may; None: no network. `gpu`: whether it may use
    the machine's GPUs, if there are any. `warm`: of a process with which libraries it may be a fork; None: of none, as
    where its memory or time are what is measured. `inputs`: a hash of what it reads; after a crash of the harness a run
    is taken over only where there is one, and it is the same. A run without one ends with its harness.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    script: Path
    arguments: tuple[str, ...]
    cwd: Path
    log: Path
    threads: int = 1
    reads: tuple[Path, ...] = ()
    lists: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    environment: dict[str, str] = {}
    proxy: Path | None = None
    gpu: bool = False
    warm: Libraries | None = "torch"
    inputs: str = ""
    limits: Limits = Limits()

    @property
    def journal(self) -> Path:
        """Where its supervisor writes down how it goes; beside the log, never writable for the script."""
        return self.log.with_suffix(".run")

    def digest(self) -> str:
        """sha256 of everything that is asked for. Of a proxy, that there is one: each harness has its own socket. Of a
        warm start, whether there may be one: that is all that version 0.2.0 knew, and its runs are gone on with."""
        told: dict[str, object] = {"warm": self.warm is not None}
        if self.proxy is not None:
            told["proxy"] = Path("proxy")
        return hashlib.sha256(self.model_copy(update=told).model_dump_json(warnings=False).encode()).hexdigest()


class RunResult(BaseModel):
    """How it ended. `detail` says it in words that a model or a person can act on; `tail` is the end of the log."""

    model_config = ConfigDict(frozen=True)

    run_id: str
    outcome: Outcome
    exit_code: int | None
    detail: str
    tail: str
    wall_seconds: float
    cpu_seconds: float
    peak_memory_mb: float
    sandbox: str
