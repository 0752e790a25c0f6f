"""Evidence: the record of one run, measured by the harness. Knows nothing of claims."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Phase = Literal["explore", "confirm"]
Trust = Literal["harness", "audited", "reported"]


class Measured(BaseModel):
    """One number. `value` is None when the run gave none (crash, NaN). `n`: rows it was computed on. `chance`: what a
    predictor that ignores its input reaches on them, where that has a meaning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float | None
    n: int
    trust: Trust = "harness"
    chance: float | None = None


class Guard(BaseModel):
    """A guard that was raised. `fatal` ones take the run, or the experiment, out of every verdict."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    message: str
    fatal: bool = True


class Evidence(BaseModel):
    """One run. Hashes are sha256 in hex; durations in seconds; memory in MiB. `predictions` maps rows scored
    (`test`, `validation`, `train`) to the file under `predictions/` and its hash; `labels` likewise. `weights`: of the
    file's bytes; `tensors`: of the numbers in it, whatever their names and metadata. `baselines`: metric key to the
    scores of simple predictors on the same sealed rows."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    experiment: str
    variant: str
    seed: int
    phase: Phase
    metrics: dict[str, Measured]
    outcome: Literal["ok", "failed", "timeout", "memory", "output", "disk", "killed", "invalid"]
    exit_code: int | None
    detail: str = ""
    guards: tuple[Guard, ...] = ()
    plan: str
    scripts: dict[str, str]
    data: str
    weights: str = ""
    tensors: str = ""
    baselines: dict[str, dict[str, float]] = {}
    predictions: dict[str, tuple[str, str]] = {}
    labels: dict[str, tuple[str, str]] = {}
    environment: str
    base_models: tuple[str, ...] = ()
    hardware: str
    sandbox: str
    threads: int
    parameters: int | None = None
    wall_seconds: float
    cpu_seconds: float
    peak_memory_mb: float
    cost_usd: float = 0.0
    smoke: bool = False


def summary(evidence: Evidence) -> dict[str, Any]:
    """What an event tells of a run."""
    return {
        "run": evidence.run_id,
        "experiment": evidence.experiment,
        "variant": evidence.variant,
        "seed": evidence.seed,
        "phase": evidence.phase,
        "outcome": evidence.outcome,
        "seconds": evidence.wall_seconds,
        "metrics": {key: measured.value for key, measured in evidence.metrics.items()},
    }
