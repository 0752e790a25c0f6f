"""Evidence: the record of one run, measured by the harness. Knows nothing of claims."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from ml_intern.judge.sketch import TensorSketch

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


class NamesCheck(BaseModel):
    """What came of training, at smoke size, with the settings of variant `settings_of` under its own name and under
    each of `names`. `same`: to the bit; `within noise`: as far apart as two trainings under one name; `differ`: the
    script does something by name that is not in the plan; `names only`: the plan gives the variants no settings, so it
    must; `unknown`: the trainings ended otherwise, as `detail` says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    outcome: Literal["same", "within noise", "differ", "names only", "unknown"]
    settings_of: str
    names: tuple[str, ...] = ()
    detail: str = ""

    @property
    def said(self) -> str:
        """In words, for whoever reads the report or has to mend the scripts."""
        names = " and ".join(f"“{name}”" for name in self.names)
        names = f"name{'s' * (len(self.names) > 1)} {names}"
        under = f"the settings of {self.settings_of}, trained at smoke size under the {names}"
        match self.outcome:
            case "same":
                return f"{under}, gave the very weights that they give under their own: names are labels"
            case "within noise":
                return f"{under}, gave what they give under their own, as nearly as trainings repeat: {self.detail}"
            case "differ":
                return f"{under}, gave something else than under their own: train.py acts by name; {self.detail}"
            case "names only":
                both = " and ".join((self.settings_of, *self.names))
                return f"the plan gives {both} no settings: what they differ in, the script does by their names"
            case "unknown":
                return f"whether names are labels is not known, a training at smoke size ended otherwise: {self.detail}"


class Evidence(BaseModel):
    """One run. Hashes are sha256 in hex; durations in seconds; memory in MiB. `predictions` maps rows scored
    (`test`, `validation`, `train`) to the file under `predictions/` and its hash; `labels` likewise. `weights`: of the
    file's bytes; `tensors`: of the numbers in it, whatever their names and metadata; `sketch`: of its largest tensors,
    empty where training may have started from a model that is not at hand. `model_files`: name to hash of what is
    published beside the weights (`judge.model_files`); None in records of before that was kept. `curve`: of the losses
    that training logged. `names`: what exchanging the variants' names has shown. `baselines`: metric key to the scores
    of simple predictors on the same sealed rows. `answers`: see `judge.answers`; None where nothing was predicted.
    `scrambled`: what came of predicting from scrambled weights, in words; of one run of a variant."""

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
    sketch: tuple[TensorSketch, ...] = ()
    model_files: dict[str, str] | None = None
    curve: str = ""
    names: NamesCheck | None = None
    baselines: dict[str, dict[str, float]] = {}
    answers: dict[str, str] | None = None
    scrambled: str = ""
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
