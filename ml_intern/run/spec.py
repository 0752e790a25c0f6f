"""RunSpec and RunResult: what one process is asked to do and how it ended. Knows nothing of experiments."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

Outcome = Literal["ok", "failed", "timeout", "memory", "output", "killed"]


class Limits(BaseModel):
    """Limits of one process tree. memory_mb: resident MiB of the whole tree; output_mb: of the captured log and of
    any single file it writes times 64; seconds: wall clock."""

    model_config = ConfigDict(frozen=True)

    seconds: float = 900.0
    memory_mb: int = 4096
    output_mb: int = 16
    file_mb: int = 2048


class RunSpec(BaseModel):
    """One script to run: `script` with `arguments` in working directory `cwd` (made anew, private to the run).

    `log` receives stdout and stderr together. `threads` is the number of cores it may use.
    """

    model_config = ConfigDict(frozen=True)

    run_id: str
    script: Path
    arguments: tuple[str, ...]
    cwd: Path
    log: Path
    threads: int = 1
    limits: Limits = Limits()


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
